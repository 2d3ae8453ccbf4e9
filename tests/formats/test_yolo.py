"""YOLO, loaded by supervision, and held to what ultralytics accepts."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import supervision as sv
import yaml
from conftest import annotate, command
from read_back import annotated_images, image_names, objects_of
from supervision.config import ORIENTED_BOX_COORDINATES
from written_answers import answered_job, picture

import florence_annotate


@pytest.mark.parametrize("split", ["train", "val"])
def test_yolo_is_read_by_supervision_with_the_same_boxes(dataset: Path, split: str) -> None:
    expected = {key: objects_of(image) for key, image in annotated_images(dataset).items()}
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


def test_yolo_outlines_are_read_by_supervision_with_the_same_masks(outlined: Path) -> None:
    read = sv.DetectionDataset.from_yolo(
        str(outlined / "images/train"),
        str(outlined / "labels/train"),
        str(outlined / "data.yaml"),
        force_masks=True,
    )
    wanted = {
        image.ref.key: image.to_supervision().mask for image in annotated_images(outlined).values()
    }
    seen = 0
    for path, _, detections in read:
        for mask, other in zip(detections.mask, wanted[Path(path).name], strict=True):
            assert (mask ^ other).sum() < 0.1 * other.sum()
            seen += 1
    assert seen == 4


def test_turned_boxes_are_read_by_supervision_with_the_same_corners(tmp_path: Path) -> None:
    out = answered_job(tmp_path, "<OCR_WITH_REGION>", "STOP", 100, 200, 500, 250, 490, 450, 90, 400)
    assert command("export", out, "--format", "yolo-obb").code == 0
    ((_, _, detections),) = sv.DetectionDataset.from_yolo(
        str(out / "images/train"), str(out / "labels/train"), str(out / "data.yaml"), is_obb=True
    )
    (image,) = annotated_images(out).values()
    corners = detections.data[ORIENTED_BOX_COORDINATES][0]
    assert np.allclose(corners, image.instances[0].quad, atol=0.01)


def test_an_image_too_small_for_yolo_stays_in_coco(tmp_path: Path) -> None:
    picture(tmp_path / "in" / "dot.png", (1, 1))
    picture(tmp_path / "in" / "wide.png", (20_000, 10))
    out = tmp_path / "out"
    result = annotate(tmp_path / "in", out, "--split", "train=1", "--json")
    assert result.code == 0, result.err
    assert list(result.json["yolo_left_out"]) == ["dot.png"]
    assert image_names(out) == ["dot.png", "wide.png"]
    assert [path.name for path in (out / "labels").rglob("*.txt")] == ["wide.txt"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--split", "train=0.5,val=0.5"], {"train": "images/train", "val": "images/val"}),
        (["--split", "train=1"], {"train": "images/train", "val": "images/train"}),
        (["--split", "train=1e-6,val=0.999999"], {"train": "images/val", "val": "images/val"}),
        (
            ["--split", "train=1e-6,test=0.999999"],
            {"train": "images/test", "val": "images/test", "test": "images/test"},
        ),
        (["--images", "none"], {}),
    ],
)
def test_data_yaml_names_folders_that_are_there(
    options: list[str], expected: dict[str, str], dataset: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(dataset, out, symlinks=True)
    result = command("export", out, "--format", "yolo", *options)
    assert result.code == 0, result.err
    content = yaml.safe_load((out / "data.yaml").read_text())
    del content["names"]
    assert content == expected
    for folder in content.values():
        assert any((out / folder).iterdir())


def test_images_that_are_all_too_small_for_yolo_are_named_in_no_split(tmp_path: Path) -> None:
    picture(tmp_path / "in" / "dot.png", (1, 1))
    out = tmp_path / "out"
    assert annotate(tmp_path / "in", out, "--format", "yolo").code == 0
    assert list(yaml.safe_load((out / "data.yaml").read_text())) == ["names"]


def test_a_split_without_images_points_at_train(tmp_path: Path) -> None:
    picture(tmp_path / "in" / "1.png")
    out = tmp_path / "out"
    result = annotate(tmp_path / "in", out, "--split", "train=1", "--json")
    assert yaml.safe_load((out / "data.yaml").read_text())["val"] == "images/train"
    assert result.json["splits_without_images"] == ["val"]
