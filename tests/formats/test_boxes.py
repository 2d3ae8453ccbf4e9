"""Each format's files, loaded by the readers that users have."""

import json
import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import supervision as sv
import yaml
from conftest import annotate, command, scores, tree
from PIL import Image
from pycocotools.coco import COCO
from written_answers import picture

import florence_annotate


def coco(path: Path) -> COCO:
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def boxes_by_picture(dataset: Path) -> dict[str, list[tuple[int, tuple[float, ...]]]]:
    """What the API reads from the journal: the reference for every reader."""
    return {
        Path(image.ref.key).name: sorted((i.class_id, i.box) for i in image.instances)
        for image in florence_annotate.open_dataset(dataset)
    }


def test_coco_is_read_by_pycocotools_with_the_same_boxes(dataset: Path) -> None:
    expected, seen = boxes_by_picture(dataset), {}
    for split in ("train", "val"):
        read = coco(dataset / "annotations" / f"instances_{split}.json")
        assert read.getImgIds() == list(range(1, len(read.getImgIds()) + 1))
        assert read.getAnnIds() == list(range(1, len(read.getAnnIds()) + 1))
        assert read.getCatIds()[0] == 1
        for image in read.loadImgs(read.getImgIds()):
            assert (dataset / "images" / split / image["file_name"]).is_file()
            found = []
            for row in read.loadAnns(read.getAnnIds(image["id"])):
                x, y, width, height = row["bbox"]
                assert row["area"] == pytest.approx(width * height, rel=1e-3)
                assert 0 <= row["score"] <= 1
                found.append((row["category_id"] - 1, (x, y, x + width, y + height)))
            seen[image["key"]] = sorted(found)
    assert seen.keys() == expected.keys()
    for key, found in seen.items():
        assert [class_id for class_id, _ in found] == [class_id for class_id, _ in expected[key]]
        assert np.allclose([b for _, b in found], [b for _, b in expected[key]], atol=2e-4)


def test_coco_scores_are_taken_as_results(dataset: Path, tmp_path: Path) -> None:
    read = coco(dataset / "annotations" / "instances_train.json")
    results = [
        {name: row[name] for name in ("image_id", "category_id", "bbox", "score")}
        for row in read.loadAnns(read.getAnnIds())
    ]
    assert len(read.loadRes(results).getAnnIds()) == len(results)


@pytest.mark.parametrize("split", ["train", "val"])
def test_yolo_is_read_by_supervision_with_the_same_boxes(dataset: Path, split: str) -> None:
    expected = boxes_by_picture(dataset)
    read = sv.DetectionDataset.from_yolo(
        images_directory_path=str(dataset / "images" / split),
        annotations_directory_path=str(dataset / "labels" / split),
        data_yaml_path=str(dataset / "data.yaml"),
    )
    names = florence_annotate.open_dataset(dataset).class_names
    assert tuple(read.classes) == names
    for path, _, detections in read:
        wanted = expected[Path(path).name]
        found = sorted(zip(detections.class_id.tolist(), detections.xyxy.tolist(), strict=True))
        assert [class_id for class_id, _ in found] == [class_id for class_id, _ in wanted]
        if wanted:
            # rows have six decimals of the side
            assert np.allclose([b for _, b in found], [b for _, b in wanted], atol=2e-3)


def test_coco_is_read_by_supervision(dataset: Path) -> None:
    read = sv.DetectionDataset.from_coco(
        images_directory_path=str(dataset / "images" / "train"),
        annotations_path=str(dataset / "annotations" / "instances_train.json"),
    )
    assert len(read) == len(list((dataset / "images" / "train").iterdir()))


def test_yolo_rows_are_what_ultralytics_accepts(dataset: Path) -> None:
    names = yaml.safe_load((dataset / "data.yaml").read_text())["names"]
    files = list((dataset / "labels").rglob("*.txt"))
    assert len(files) == 20
    for file in files:
        rows = [line.split() for line in file.read_text().splitlines()]
        values = np.array([[float(v) for v in row[1:]] for row in rows]).reshape(len(rows), -1)
        assert all(len(row) == 5 and int(row[0]) in names for row in rows)
        assert ((values >= 0) & (values <= 1)).all()
        assert len(set(map(tuple, rows))) == len(rows)


def test_data_yaml_has_no_path_and_ids_in_order(dataset: Path) -> None:
    content = yaml.safe_load((dataset / "data.yaml").read_text())
    assert content["train"] == "images/train"
    assert content["val"] == "images/val"
    assert "path" not in content
    assert list(content["names"]) == list(range(len(content["names"])))


def test_detections_carry_class_ids_names_and_scores(dataset: Path) -> None:
    for image in florence_annotate.open_dataset(dataset):
        detections = image.to_supervision()
        assert len(detections) == len(image.instances)
        for place, instance in enumerate(image.instances):
            assert detections.xyxy[place] == pytest.approx(instance.box, abs=1e-3)
            assert detections.confidence[place] == pytest.approx(instance.score)
            assert detections.data["class_name"][place] == instance.label


def test_visuals_are_pictures_of_the_same_size_with_boxes_in_them(
    dataset: Path, scenes: Path
) -> None:
    drawn = list((dataset / "visuals").rglob("*.jpg"))
    assert len(drawn) == 20
    expected = boxes_by_picture(dataset)
    for path in drawn:
        with Image.open(path) as visual, Image.open(scenes / path.name) as original:
            assert visual.size == original.size
            difference = np.abs(
                np.asarray(visual, dtype=int) - np.asarray(original.convert("RGB"), dtype=int)
            )
        assert (difference.max() > 60) == bool(expected[path.name])


def test_pictures_are_hard_links_to_the_originals(dataset: Path, scenes: Path) -> None:
    for path in (dataset / "images").rglob("*.jpg"):
        assert path.samefile(scenes / path.name)
        assert not path.is_symlink()


@pytest.mark.parametrize("mode", ["symlink", "copy", "none"])
def test_pictures_come_as_asked(dataset: Path, scenes: Path, tmp_path: Path, mode: str) -> None:
    out = Path(shutil.copytree(dataset, tmp_path / "out", symlinks=True))
    assert command("export", out, "--images", mode).code == 0
    found = sorted((out / "images").rglob("*.jpg")) if (out / "images").exists() else []
    assert len(found) == (0 if mode == "none" else 20)
    for path in found:
        original = scenes / path.name
        assert path.is_symlink() == (mode == "symlink")
        assert path.read_bytes() == original.read_bytes()
        assert path.samefile(original) == (mode == "symlink")


def test_the_same_journal_gives_the_same_bytes(dataset: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(dataset, tmp_path / "out", symlinks=True))
    before = tree(dataset)
    for name in ("labels", "annotations", "visuals"):
        shutil.rmtree(out / name)
    assert command("export", out, "--images", "copy", "--no-visuals").code == 0
    assert command("export", out, "--overwrite").code == 0
    after = tree(out)
    assert {k: v for k, v in after.items() if not k.startswith("images")} == {
        k: v for k, v in before.items() if not k.startswith("images")
    }


def test_a_threshold_is_changed_without_a_model(dataset: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(dataset, tmp_path / "out", symlinks=True))
    everything = sorted(scores(out))
    middle = everything[len(everything) // 2] + 0.00005  # between two of the rounded scores
    result = command("export", out, "--min-score", middle, "--json")
    assert result.code == 0, result.err
    kept = result.json["instances"]
    assert kept == sum(score > middle for score in everything)
    assert kept + result.json["dropped"]["min-score"] == len(everything)
    rows = sum(len(f.read_text().splitlines()) for f in (out / "labels").rglob("*.txt"))
    assert rows == kept


def test_formats_that_are_no_longer_asked_for_leave(dataset: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(dataset, tmp_path / "out", symlinks=True))
    assert command("export", out, "--format", "coco", "--no-visuals").code == 0
    assert not (out / "labels").exists()
    assert not (out / "data.yaml").exists()
    assert not (out / "visuals").exists()
    assert (out / "annotations" / "instances_train.json").exists()


def test_a_corrected_file_is_not_overwritten(dataset: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(dataset, tmp_path / "out", symlinks=True))
    label = next((out / "labels").rglob("*.txt"))
    label.write_text("0 0.5 0.5 0.1 0.1\n")
    before = tree(out)
    refused = command("export", out, "--min-score", 0.5)
    assert refused.code == 1
    assert label.name in refused.err
    assert "--overwrite" in refused.err
    assert tree(out) == before
    assert command("export", out, "--min-score", 0.5, "--overwrite").code == 0
    assert label.read_text() != "0 0.5 0.5 0.1 0.1\n"


def test_a_corrected_file_is_not_removed_either(dataset: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(dataset, tmp_path / "out", symlinks=True))
    (out / "data.yaml").write_text("mine")
    assert command("export", out, "--format", "coco").code == 1
    assert (out / "data.yaml").read_text() == "mine"


def test_a_corrected_file_that_was_backed_up_by_a_link_is_protected_too(
    dataset: Path, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(dataset, tmp_path / "out", symlinks=True))
    label = next((out / "labels").rglob("*.txt"))
    label.write_text("0 0.5 0.5 0.1 0.1\n")
    os.link(label, tmp_path / "backup.txt")
    assert command("export", out, "--min-score", 0.5).code == 1


def test_copies_replace_links_and_the_reverse(scenes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert annotate(scenes, out, "--limit", 2, "--split", "train=1").code == 0
    path = next((out / "images").rglob("*.jpg"))
    assert path.samefile(scenes / path.name)
    assert command("export", out, "--images", "copy").code == 0
    assert not path.samefile(scenes / path.name)
    assert command("export", out, "--images", "hardlink").code == 0
    assert path.samefile(scenes / path.name)


def pictures_of(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "images").rglob("*.png")}


def test_the_datasets_copies_stay_when_the_originals_are_gone(tmp_path: Path) -> None:
    for number in range(4):
        picture(tmp_path / "in" / f"{number}.png", (40 + number, 40))
    out = tmp_path / "out"
    assert annotate(tmp_path / "in", out).code == 0
    before = pictures_of(out)
    shutil.rmtree(tmp_path / "in")
    result = command("export", out, "--split", "train=0.5,val=0.5", "--seed", 3, "--json")
    assert result.code == 0, result.err
    assert pictures_of(out) == before
    assert result.json["left_out"] == {}


def test_an_export_that_would_leave_nothing_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "in" / "1.png")
    out = tmp_path / "out"
    assert annotate(tmp_path / "in", out, "--images", "symlink").code == 0
    before = tree(out)
    (tmp_path / "in").rename(tmp_path / "moved")
    refused = command("export", out)
    assert refused.code == 1
    assert "put them back" in refused.err
    assert tree(out) == before


def test_the_last_copy_of_a_picture_is_never_deleted(tmp_path: Path) -> None:
    for number in range(2):
        picture(tmp_path / "in" / f"{number}.png", (40 + number, 40))
    out = tmp_path / "out"
    assert annotate(tmp_path / "in", out).code == 0
    bytes_of_it = (tmp_path / "in" / "1.png").read_bytes()
    (tmp_path / "in" / "1.png").unlink()
    assert annotate(tmp_path / "in", out).code == 0
    assert exported_names(out) == ["0.png"]
    (orphan,) = (out / "orphans").iterdir()
    assert orphan.read_bytes() == bytes_of_it


def test_a_folder_that_is_named_like_a_label_file_is_in_nobodys_way(tmp_path: Path) -> None:
    for name in ("1.jpg", "1.txt/a.jpg", "2.gif", "2.png/b.jpg"):
        picture(tmp_path / "in" / name)
    out = tmp_path / "out"
    result = annotate(tmp_path / "in", out, "--visuals", "--split", "train=1")
    assert result.code == 0, result.err
    assert len(exported_names(out)) == len(set(exported_names(out))) == 4


def class_files(tmp_path: Path, names: list[str]) -> Path:
    file = tmp_path / "classes.yaml"
    file.write_text(yaml.safe_dump(names, allow_unicode=True))
    return file


def test_class_names_of_every_kind_survive_both_formats(dataset: Path, tmp_path: Path) -> None:
    names = ["a, b", "key: value", 'it\'s "so"', "#1", "自動車", "yes", "1", "- x", "ellipse"]
    out = Path(shutil.copytree(dataset, tmp_path / "out", symlinks=True))
    done = command("export", out, "--classes-file", class_files(tmp_path, names))
    assert done.code == 0, done.err
    assert list(yaml.safe_load((out / "data.yaml").read_text())["names"].values()) == names
    categories = coco(out / "annotations" / "instances_val.json").loadCats(range(1, 10))
    assert [category["name"] for category in categories] == names
    read = sv.DetectionDataset.from_yolo(
        str(out / "images" / "val"), str(out / "labels" / "val"), str(out / "data.yaml")
    )
    assert list(read.classes) == names


def exported_names(out: Path) -> list[str]:
    found: list[str] = []
    for file in sorted((out / "annotations").glob("*.json")):
        found += [image["file_name"] for image in json.loads(file.read_text())["images"]]
    return sorted(found)


def test_no_picture_takes_another_ones_place(tmp_path: Path) -> None:
    source = tmp_path / "in"
    for name in ("a/1.jpg", "b/1.jpg", "1.jpg", "1.png", "images/x.jpg", "images/images/x.jpg"):
        picture(source / name)
    out = tmp_path / "out"
    assert annotate(source, out, "--split", "train=1").code == 0
    names = exported_names(out)
    assert len(set(names)) == 6
    assert {"a/1.jpg", "b/1.jpg", "1.jpg"} <= set(names)
    assert not any("/images/" in f"/{name}" for name in names)
    stems = Counter(str(Path(name).with_suffix("")) for name in names)
    assert set(stems.values()) == {1}
    for name in names:
        # what ultralytics does: the last /images/ becomes /labels/, the ending .txt
        path = str(out / "images" / "train" / name)
        assert Path(path).is_file()
        label = "/labels/".join(path.rsplit("/images/", 1)).rsplit(".", 1)[0] + ".txt"
        assert Path(label).is_file()
    assert len(list((out / "labels").rglob("*.txt"))) == 6


def test_what_yolo_readers_do_not_list_is_written_as_png(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (32, 32), c) for c in ("red", "blue")]
    (tmp_path / "in").mkdir()
    frames[0].save(tmp_path / "in" / "a.gif", save_all=True, append_images=frames[1:])
    picture(tmp_path / "in" / "b.PNG")
    out = tmp_path / "out"
    assert annotate(tmp_path / "in", out, "--split", "train=1").code == 0
    assert exported_names(out) == ["a.png", "b.PNG"]
    with Image.open(out / "images" / "train" / "a.png") as png:
        assert png.format == "PNG"
        assert png.convert("RGB").getpixel((5, 5)) == (255, 0, 0)
    read = sv.DetectionDataset.from_yolo(
        str(out / "images" / "train"), str(out / "labels" / "train"), str(out / "data.yaml")
    )
    assert len(read) == 2


def test_a_turned_or_unfinished_original_is_copied_instead_of_linked(tmp_path: Path) -> None:
    source = tmp_path / "in"
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(source / "turned.jpg", (60, 40), exif=exif)
    picture(source / "tail.jpg")
    (source / "tail.jpg").write_bytes((source / "tail.jpg").read_bytes() + b"phone")
    picture(source / "plain.jpg")
    before = {path.name: path.read_bytes() for path in source.iterdir()}
    out = tmp_path / "out"
    assert annotate(source, out, "--split", "train=1").code == 0
    images = out / "images" / "train"
    with Image.open(images / "turned.jpg") as upright:
        assert upright.size == (40, 60)
        assert 0x0112 not in upright.getexif()
    assert (images / "tail.jpg").read_bytes() == before["tail.jpg"]
    assert (images / "plain.jpg").samefile(source / "plain.jpg")
    assert not (images / "tail.jpg").samefile(source / "tail.jpg")
    assert {path.name: path.read_bytes() for path in source.iterdir()} == before
    sizes = {
        image["file_name"]: (image["width"], image["height"])
        for image in json.loads((out / "annotations/instances_train.json").read_text())["images"]
    }
    assert sizes["turned.jpg"] == (40, 60)


def test_a_picture_too_small_for_yolo_stays_in_coco(tmp_path: Path) -> None:
    picture(tmp_path / "in" / "dot.png", (1, 1))
    picture(tmp_path / "in" / "wide.png", (20_000, 10))
    out = tmp_path / "out"
    result = annotate(tmp_path / "in", out, "--split", "train=1", "--json")
    assert result.code == 0, result.err
    assert list(result.json["yolo_left_out"]) == ["dot.png"]
    assert exported_names(out) == ["dot.png", "wide.png"]
    assert [path.name for path in (out / "labels").rglob("*.txt")] == ["wide.txt"]


def test_a_split_without_pictures_points_at_train(tmp_path: Path) -> None:
    picture(tmp_path / "in" / "1.png")
    out = tmp_path / "out"
    result = annotate(tmp_path / "in", out, "--split", "train=1", "--json")
    assert yaml.safe_load((out / "data.yaml").read_text())["val"] == "images/train"
    assert result.json["splits_without_images"] == ["val"]


def test_a_picture_that_changed_or_left_since_is_left_out_by_name(tmp_path: Path) -> None:
    for number, name in enumerate(("kept.png", "changed.png", "gone.png", "touched.png")):
        picture(tmp_path / "in" / name, (40 + number, 40))
    out = tmp_path / "out"
    assert annotate(tmp_path / "in", out, "--images", "symlink").code == 0
    picture(tmp_path / "in" / "changed.png", (80, 80))
    (tmp_path / "in" / "gone.png").unlink()
    os.utime(tmp_path / "in" / "touched.png", (1, 1))
    result = command("export", out, "--json")
    assert result.code == 0, result.err
    assert set(result.json["left_out"]) == {"changed.png", "gone.png"}
    assert exported_names(out) == ["kept.png", "touched.png"]


def test_the_epoch_of_the_build_is_the_only_clock(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Path(shutil.copytree(dataset, tmp_path / "out", symlinks=True))
    file = out / "annotations" / "instances_val.json"
    assert "date_created" not in json.loads(file.read_text())["info"]
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    assert command("export", out).code == 0
    info = json.loads(file.read_text())["info"]
    assert info["date_created"] == "1970-01-01T00:00:00+00:00"
