"""All formats of one export."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import datasets
import numpy as np
import pytest
import supervision as sv
import yaml
from conftest import annotate, command, scores, tree
from read_back import ALL, annotated_images, image_names, read_coco
from written_answers import answer, picture, say, written_job

import florence_annotate
from florence_annotate.types import Question

pytestmark = pytest.mark.usefixtures("datasets_cache")

ODD = [
    "a & b",
    "<tag>",
    'it\'s "so"',
    "自動車",
    " x ",
    "line\nbreak",
    "bell\x07",
    "\U0001f697",
    "ellipse",
]


def test_the_same_journal_gives_the_same_bytes(dataset: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(dataset, tmp_path / "out", symlinks=True))
    before = tree(dataset)
    for name in ("labels", "annotations", "visuals"):
        shutil.rmtree(out / name)
    assert command("export", out, "--images", "copy", "--no-visuals").code == 0
    assert command("export", out, "--visuals", "--overwrite").code == 0
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
    categories = read_coco(out / "annotations" / "instances_val.json").loadCats(range(1, 10))
    assert [category["name"] for category in categories] == names
    read = sv.DetectionDataset.from_yolo(
        str(out / "images" / "val"), str(out / "labels" / "val"), str(out / "data.yaml")
    )
    assert list(read.classes) == names


def test_odd_names_of_files_and_classes_survive(tmp_path: Path) -> None:
    files = [
        "a & b.png",
        "<é>.png",
        '自動車/it\'s "so".png',
        "100% #1?.png",
        "x.xml/1.png",
        "x.png",
    ]
    for name in files:
        picture(tmp_path / "in" / name)
    picture(tmp_path / "in" / "metadata.jsonl" / "2.png")
    out = tmp_path / "out"
    assert annotate(tmp_path / "in", out, "--split", "train=1").code == 0
    before = florence_annotate.open_dataset(out).class_names  # they keep their ids
    say(out, answer(*(part for name in ODD for part in (name, 100, 200, 500, 700))))
    done = command("export", out, "--format", ALL)
    assert done.code == 0, done.err
    names = florence_annotate.open_dataset(out).class_names[len(before) :]
    assert len(names) == len(ODD)
    safe = sorted(name.replace("\x07", "\ufffd") for name in names)
    root = ElementTree.parse(out / "annotations.xml").getroot()
    pictures = {row.get("name"): row for row in root.iterfind("image")}
    assert len(pictures) == 7
    for name, row in pictures.items():
        path = out / "images" / "train" / str(name)
        assert path.is_file()
        assert sorted(str(box.get("label")) for box in row) == safe
        stem = Path(str(name)).with_suffix(".xml")
        found = ElementTree.parse(out / "voc" / "train" / stem).getroot()
        assert found.findtext("filename") == path.name
        assert sorted(str(one.findtext("name")) for one in found.iterfind("object")) == safe
        file = out / "labelme" / "train" / stem.with_suffix(".json")
        shapes = json.loads(file.read_text())["shapes"]
        assert sorted(shape["label"] for shape in shapes) == list(names)
    for task in json.loads((out / "label-studio" / "tasks.json").read_text()):
        assert (out / parse_qs(urlsplit(task["data"]["image"]).query)["d"][0]).is_file()
    for kind, folder in (("parquet", "parquet"), ("imagefolder", "images")):
        read = datasets.load_dataset(kind, data_dir=str(out / folder), split="train")
        assert len(read) == 7
        assert all(sorted(row["objects"]["label"]) == list(names) for row in read)


def test_printed_text_comes_with_its_place(printed: Path) -> None:
    (one,) = annotated_images(printed)["1.png"].instances
    assert one.text == "STOP & <go>"
    assert len(one.quad) == 4
    voc = ElementTree.parse(printed / "voc" / "train" / "1.xml").getroot().find("object")
    assert voc is not None
    assert voc.findtext("text") == one.text
    assert len(voc.findall("polygon/")) == 8
    (shape,) = json.loads((printed / "labelme" / "train" / "1.json").read_text())["shapes"]
    assert (shape["shape_type"], shape["description"]) == ("polygon", one.text)
    assert np.allclose(shape["points"], one.quad, atol=1e-3)
    (task, _) = json.loads((printed / "label-studio" / "tasks.json").read_text())
    outline, text = task["predictions"][0]["result"]
    assert outline["id"] == text["id"]
    assert np.allclose(outline["value"]["points"], np.array(one.quad) / (1.0, 0.8), atol=1e-3)
    assert text["value"]["text"] == [one.text]
    polygon = ElementTree.parse(printed / "annotations.xml").getroot().find("image/polygon")
    assert polygon is not None
    points = [list(map(float, pair.split(","))) for pair in polygon.attrib["points"].split(";")]
    assert np.allclose(points, one.quad, atol=1e-3)
    assert polygon.findtext("attribute[@name='text']") == one.text
    for kind, folder in (("parquet", "parquet"), ("imagefolder", "images")):
        read = datasets.load_dataset(kind, data_dir=str(printed / folder), split="train")
        assert read[0]["objects"]["text"] == [one.text]


def test_masks_are_one_outline_an_object_with_their_holes(tmp_path: Path) -> None:
    picture(tmp_path / "in" / "1.png")
    out = tmp_path / "out"
    options = ("--task", "open-vocabulary", "--text", "ring", "--split", "train=1")
    assert annotate(tmp_path / "in", out, *options).code == 0
    outer, hole = (100, 100, 900, 100, 900, 900, 100, 900), (300, 300, 700, 300, 700, 700, 300, 700)
    task = "<OPEN_VOCABULARY_DETECTION>"
    said = answer("ring", "<poly>", *outer, "<sep>", *hole, "</poly>", task=task)
    say(out, replace(said, question=replace(said.question, text="ring")))
    done = command("export", out, "--format", ALL)
    assert done.code == 0, done.err
    (one,) = annotated_images(out)["1.png"].instances
    assert len(one.polygons) == 2
    (wanted,) = annotated_images(out)["1.png"].to_supervision().mask
    for read in (
        sv.DetectionDataset.from_pascal_voc(str(out / "images/train"), str(out / "voc/train")),
        sv.DetectionDataset.from_labelme(str(out / "images/train"), str(out / "labelme/train")),
    ):
        ((_, _, detections),) = read
        assert detections.xyxy[0] == pytest.approx(one.box, abs=1)
        difference = detections.mask[0] ^ wanted
        assert difference.sum() < 0.1 * wanted.sum()
        assert not detections.mask[0][40, 50]
    read = datasets.load_dataset("parquet", data_dir=str(out / "parquet"), split="train")
    assert [len(part) for part in read[0]["objects"]["segmentation"][0]] == [8, 8]


def test_captions_are_in_the_formats_that_have_a_place_for_them(tmp_path: Path) -> None:
    for name in ("1.png", "2.png"):
        picture(tmp_path / "in" / name)
    out = tmp_path / "out"
    options = ("--task", "caption", "--split", "train=1", "--no-canary")
    assert annotate(tmp_path / "in", out, *options).code == 0
    say(out, answer("a red wall", task="<CAPTION>"))
    done = command("export", out, "--format", "label-studio,parquet,imagefolder")
    assert done.code == 0, done.err
    for task in json.loads((out / "label-studio" / "tasks.json").read_text()):
        (result,) = task["predictions"][0]["result"]
        assert (result["from_name"], result["value"]) == ("caption", {"text": ["a red wall"]})
    for kind, folder in (("parquet", "parquet"), ("imagefolder", "images")):
        read = datasets.load_dataset(kind, data_dir=str(out / folder), split="train")
        assert read["captions"][:] == [["a red wall"]] * 2
    assert command("export", out, "--format", "voc").code == 2


def test_formats_come_and_go_with_the_same_bytes(exported: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(exported, tmp_path / "out", symlinks=True))
    before = tree(out)
    assert command("export", out, "--format", "coco").code == 0
    assert command("export", out, "--format", f"yolo,{ALL}", "--no-visuals").code == 0
    assert tree(out) == before


def unreadable_job(folder: Path) -> Path:
    """A job with three images, of which the second has lost its content and kept its stamp."""
    said = {f"{number}.png": [answer("car", 1, 2, 300, 400)] for number in range(3)}
    out = written_job(folder, said)
    path = folder / "in" / "1.png"
    status = path.stat()
    path.write_bytes(b"x" * status.st_size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    return out


def names_in(out: Path, file: str) -> list[str]:
    return [json.loads(line)["file_name"] for line in (out / file).read_text().splitlines()]


def test_an_image_that_cannot_be_placed_is_in_no_format(tmp_path: Path) -> None:
    out = unreadable_job(tmp_path)
    done = command("export", out, "--format", "yolo,coco,jsonl,imagefolder", "--json")
    assert done.code == 0, done.err
    assert list(done.json["left_out"]) == ["1.png"]
    assert done.json["instances"] == 3  # of what was annotated
    assert names_in(out, "annotations.jsonl") == ["0.png", "2.png"]
    assert names_in(out, "images/train/metadata.jsonl") == ["0.png", "2.png"]
    assert image_names(out) == ["0.png", "2.png"]
    assert not (out / "labels/train/1.txt").exists()


def test_an_image_that_a_format_cannot_read_is_in_none_that_follow(tmp_path: Path) -> None:
    out = unreadable_job(tmp_path)
    formats = ("--format", "coco,parquet,jsonl", "--images", "none")
    done = command("export", out, *formats, "--json")
    assert done.code == 0, done.err
    assert list(done.json["left_out"]) == ["1.png"]
    assert image_names(out) == ["0.png", "1.png", "2.png"]
    assert names_in(out, "annotations.jsonl") == ["0.png", "2.png"]


def test_ids_of_images_are_the_same_in_all_files_of_coco(tmp_path: Path) -> None:
    said = {
        "1.png": [answer("car", 1, 2, 300, 400)],
        "2.png": [],  # which was not asked
        "3.png": [answer()],
        "4.png": [answer("car", 1, 2, 300, 400), answer("a street", task="<CAPTION>")],
    }
    asked = Question("<OD>"), Question("<CAPTION>")
    out = written_job(tmp_path, said, asked, formats="coco,coco-results,coco-captions")
    assert command("export", out).code == 0
    files = {
        name: json.loads((out / f"annotations/{name}_train.json").read_text())
        for name in ("instances", "captions", "results")
    }
    ids = [(image["id"], image["key"]) for image in files["instances"]["images"]]
    assert ids == [(1, "1.png"), (2, "3.png"), (3, "4.png")]
    assert files["captions"]["images"] == files["instances"]["images"]
    assert [row["image_id"] for row in files["results"]] == [1, 3]
    assert [row["image_id"] for row in files["captions"]["annotations"]] == [3]


def test_visuals_are_of_the_first_images_that_are_there(tmp_path: Path) -> None:
    out = unreadable_job(tmp_path)
    done = command("export", out, "--visuals-limit", 2)
    assert done.code == 0, done.err
    drawn = sorted(path.name for path in (out / "visuals/train").iterdir())
    assert drawn == ["0.jpg", "2.jpg"]
