"""The formats of annotation tools and of the hub, loaded by the readers that users have.

LabelMe's own package needs Qt, label-studio-sdk an older OpenCV, datumaro OpenVINO: too much for a
test environment. So LabelMe's files are read by supervision, and the others are held to their
published schemas here; the three packages were tried by hand (docs/formats.md).
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import datasets
import numpy as np
import pandas
import pyarrow.parquet
import pytest
import supervision as sv
from conftest import annotate, command, tree
from PIL import Image
from written_answers import answer, picture, say

import florence_annotate
from florence_annotate.dataset.annotated_image import AnnotatedImage
from florence_annotate.formats import parquet

ALL = "voc,labelme,label-studio,cvat,parquet,imagefolder"

Objects = list[tuple[int, tuple[float, ...]]]


@pytest.fixture(scope="module")
def exported(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`dataset` in every format of this file, and in YOLO. Not to be written to."""
    out = tmp_path_factory.mktemp("exported") / "out"
    shutil.copytree(dataset, out, symlinks=True)
    done = command("export", out, "--format", f"yolo,{ALL}", "--no-visuals")
    assert done.code == 0, done.err
    return out


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`datasets` keeps what it reads: here, and not in the user's home."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()


def expected(out: Path) -> dict[str, AnnotatedImage]:
    """What the API reads from the journal: the reference for every reader."""
    return {image.ref.key: image for image in florence_annotate.open_dataset(out)}


def objects_of(image: AnnotatedImage) -> Objects:
    return sorted((one.class_id, one.box) for one in image.instances)


def assert_same(found: Objects, wanted: Objects, tolerance: float) -> None:
    assert [class_id for class_id, _ in found] == [class_id for class_id, _ in wanted]
    if wanted:
        assert np.allclose([b for _, b in found], [b for _, b in wanted], atol=tolerance)


def by_name(detections: sv.Detections, classes: Sequence[str], names: Sequence[str]) -> Objects:
    """Detections with the class ids of the job: readers number classes as they meet them."""
    ids = [names.index(classes[class_id]) for class_id in detections.class_id]
    return list(zip(ids, map(tuple, detections.xyxy.tolist()), strict=True))


@pytest.mark.parametrize("split", ["train", "val"])
def test_voc_is_read_by_supervision_with_the_same_pixels(exported: Path, split: str) -> None:
    images, names = expected(exported), florence_annotate.open_dataset(exported).class_names
    read = sv.DetectionDataset.from_pascal_voc(
        str(exported / "images" / split), str(exported / "voc" / split)
    )
    assert len(read) == len(list((exported / "voc" / split).glob("*.xml"))) > 0
    for path, _, detections in read:
        found = sorted(by_name(detections, read.classes, names))
        wanted = [
            (i, tuple(map(float, map(round, box))))
            for i, box in objects_of(images[Path(path).name])
        ]
        assert_same(found, sorted(wanted), 0)


@pytest.mark.parametrize("split", ["train", "val"])
def test_labelme_is_read_by_supervision_with_the_same_boxes(exported: Path, split: str) -> None:
    images, names = expected(exported), florence_annotate.open_dataset(exported).class_names
    read = sv.DetectionDataset.from_labelme(
        str(exported / "images" / split), str(exported / "labelme" / split)
    )
    assert len(read) == len(list((exported / "images" / split).glob("*.jpg"))) > 0
    for path, _, detections in read:
        found = sorted(by_name(detections, read.classes, names))
        assert_same(found, objects_of(images[Path(path).name]), 1e-3)


def test_labelme_finds_its_pictures_from_where_its_files_lie(tmp_path: Path) -> None:
    for name in ("1.png", "a/b/2.png"):
        picture(tmp_path / "in" / name)
    out = tmp_path / "out"
    assert annotate(tmp_path / "in", out, "--format", "labelme").code == 0
    files = sorted((out / "labelme").rglob("*.json"))
    assert len(files) == 2
    for file in files:
        with Image.open(file.parent / json.loads(file.read_text())["imagePath"]) as found:
            assert found.size == (100, 80)


def test_label_studio_tasks_have_the_published_schema_and_the_same_boxes(exported: Path) -> None:
    images = expected(exported)
    names = florence_annotate.open_dataset(exported).class_names
    tasks = json.loads((exported / "label-studio" / "tasks.json").read_text())
    assert [task["id"] for task in tasks] == list(range(1, 21))
    for task in tasks:
        path = parse_qs(urlsplit(task["data"]["image"]).query)["d"][0]
        image = images[task["data"]["key"]]
        with Image.open(exported / path) as opened:
            assert opened.size == (image.width, image.height)
        (prediction,) = task["predictions"]
        found = []
        for result in prediction["result"]:
            assert (result["from_name"], result["type"]) == ("box", "rectanglelabels")
            assert (result["original_width"], result["original_height"]) == opened.size
            value = result["value"]
            x, y = value["x"] / 100 * image.width, value["y"] / 100 * image.height
            right = x + value["width"] / 100 * image.width
            bottom = y + value["height"] / 100 * image.height
            (label,) = value["rectanglelabels"]
            found.append((names.index(label), (x, y, right, bottom)))
        assert_same(sorted(found), objects_of(image), 1e-3)
        assert len({result["id"] for result in prediction["result"]}) == len(found)


def test_the_interface_of_label_studio_knows_every_control_and_class(exported: Path) -> None:
    config = ElementTree.parse(exported / "label-studio" / "config.xml").getroot()
    controls = {element.get("name"): element for element in config if element.tag != "Image"}
    assert set(controls) == {"box", "outline", "text", "caption"}
    names = florence_annotate.open_dataset(exported).class_names
    for name in ("box", "outline"):
        assert tuple(label.get("value") for label in controls[name]) == names


def test_cvat_xml_has_the_structure_of_images_1_1_and_the_same_boxes(exported: Path) -> None:
    images, names = expected(exported), florence_annotate.open_dataset(exported).class_names
    root = ElementTree.parse(exported / "annotations.xml").getroot()
    assert root.tag == "annotations"
    assert root.findtext("version") == "1.1"
    assert tuple(e.text for e in root.iterfind("meta/project/labels/label/name")) == names
    labels = json.loads((exported / "cvat" / "labels.json").read_text())
    assert tuple(label["name"] for label in labels) == names
    rows = root.findall("image")
    assert [row.get("id") for row in rows] == [str(number) for number in range(20)]
    for row in rows:
        image = images[str(row.get("name"))]
        assert (row.get("width"), row.get("height")) == (str(image.width), str(image.height))
        assert (exported / "images" / str(row.get("subset")) / str(row.get("name"))).is_file()
        found = []
        for box, one in zip(row, image.instances, strict=True):
            assert box.tag == "box"
            edges = tuple(float(box.attrib[edge]) for edge in ("xtl", "ytl", "xbr", "ybr"))
            found.append((names.index(box.attrib["label"]), edges))
            assert float(box.findtext("attribute[@name='score']") or "") == pytest.approx(
                one.score, abs=1e-4
            )
        assert_same(sorted(found), objects_of(image), 1e-3)


def hub_objects(row: Any) -> Objects:
    found = []
    for category, (x, y, width, height) in zip(
        row["objects"]["category"], row["objects"]["bbox"], strict=True
    ):
        found.append((category, (x, y, x + width, y + height)))
    return sorted(found)


def test_parquet_is_read_by_datasets_with_pictures_and_class_names(exported: Path) -> None:
    images, names = expected(exported), florence_annotate.open_dataset(exported).class_names
    read = datasets.load_dataset("parquet", data_dir=str(exported / "parquet"))
    assert set(read) == {"train", "validation"}
    seen = 0
    for split in read.values():
        assert tuple(split.features["objects"]["category"].feature.names) == names
        paths = split.cast_column("image", datasets.Image(decode=False))["image"]
        for row, path in zip(split, paths, strict=True):
            image = images[path["path"]]
            assert row["image"].size == (image.width, image.height) == (row["width"], row["height"])
            assert row["objects"]["label"] == [names[i] for i in row["objects"]["category"]]
            assert_same(hub_objects(row), objects_of(image), 2e-4)
            seen += 1
    assert seen == 20


def test_parquet_is_read_by_pandas_and_is_written_in_row_groups(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = exported / "parquet" / "train.parquet"
    table = pandas.read_parquet(file)
    assert list(table.columns) == ["image", "width", "height", "objects", "captions"]
    assert pyarrow.parquet.ParquetFile(file).num_row_groups == 1
    monkeypatch.setattr(parquet, "_ROW_GROUP_ROWS", 5)
    out = Path(shutil.copytree(exported, tmp_path / "out", symlinks=True))
    assert command("export", out, "--format", "parquet").code == 0
    again = pyarrow.parquet.ParquetFile(out / "parquet" / "train.parquet")
    assert again.num_row_groups == -(-len(table) // 5)
    assert again.read().to_pylist() == pyarrow.parquet.read_table(file).to_pylist()


def test_parquet_holds_upright_pictures_where_images_are_not_written(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(tmp_path / "in" / "turned.jpg", (60, 40), exif=exif)
    picture(tmp_path / "in" / "plain.jpg")
    out = tmp_path / "out"
    done = annotate(tmp_path / "in", out, "--format", "parquet", "--images", "none")
    assert done.code == 0, done.err
    assert not (out / "images").exists()
    rows = {}
    for file in (out / "parquet").iterdir():
        for row in pyarrow.parquet.read_table(file).to_pylist():
            rows[row["image"]["path"]] = row["image"]["bytes"]
    assert rows["plain.jpg"] == (tmp_path / "in" / "plain.jpg").read_bytes()
    (tmp_path / "turned.jpg").write_bytes(rows["turned.jpg"])
    with Image.open(tmp_path / "turned.jpg") as upright:
        assert upright.size == (40, 60)
    (tmp_path / "in" / "plain.jpg").unlink()
    again = command("export", out, "--json")
    assert list(again.json["left_out"]) == ["plain.jpg"]


def test_parquet_without_pyarrow_says_what_to_install(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Path(shutil.copytree(exported, tmp_path / "out", symlinks=True))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    refused = command("export", out, "--format", "parquet")
    assert refused.code == 2
    assert "pip install pyarrow" in " ".join(refused.err.split())


def test_an_image_folder_is_read_by_datasets(exported: Path) -> None:
    images = expected(exported)
    read = datasets.load_dataset("imagefolder", data_dir=str(exported / "images"))
    assert set(read) == {"train", "validation"}
    assert sum(map(len, read.values())) == 20
    for split in read.values():
        paths = split.cast_column("image", datasets.Image(decode=False))["image"]
        for row, path in zip(split, paths, strict=True):
            image = images[Path(path["path"]).name]
            assert row["image"].size == (image.width, image.height)
            assert_same(hub_objects(row), objects_of(image), 2e-4)


def test_the_metadata_of_an_image_folder_disturbs_no_yolo_reader(exported: Path) -> None:
    assert (exported / "images" / "val" / "metadata.jsonl").is_file()
    read = sv.DetectionDataset.from_yolo(
        str(exported / "images" / "val"),
        str(exported / "labels" / "val"),
        str(exported / "data.yaml"),
    )
    assert len(read) == len(list((exported / "images" / "val").glob("*.jpg")))


def test_an_image_folder_comes_and_goes_as_any_format(exported: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(exported, tmp_path / "out", symlinks=True))
    metadata = out / "images" / "val" / "metadata.jsonl"
    metadata.write_text("mine")
    (tmp_path / "backup").hardlink_to(metadata)
    assert command("export", out, "--format", "yolo").code == 1
    assert metadata.read_text() == "mine"
    assert command("export", out, "--format", "yolo", "--overwrite").code == 0
    assert not metadata.exists()
    assert not list(out.glob("orphans"))
    assert len(list((out / "images").rglob("*.jpg"))) == 20


@pytest.mark.parametrize("name", ["imagefolder", "labelme", "label-studio"])
def test_what_lies_beside_pictures_is_refused_without_them(
    exported: Path, tmp_path: Path, name: str
) -> None:
    out = Path(shutil.copytree(exported, tmp_path / "out", symlinks=True))
    refused = command("export", out, "--format", name, "--images", "none")
    assert refused.code == 2
    assert f"--format {name}" in refused.err
    assert tree(out) == tree(exported)


def test_the_same_journal_gives_the_same_bytes(exported: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(exported, tmp_path / "out", symlinks=True))
    before = tree(out)
    assert command("export", out, "--format", "coco").code == 0
    assert command("export", out, "--format", f"yolo,{ALL}", "--no-visuals").code == 0
    assert tree(out) == before


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
    say(out, answer(*(part for name in ODD for part in (name, 100, 200, 500, 700))))
    done = command("export", out, "--format", ALL)
    assert done.code == 0, done.err
    names = florence_annotate.open_dataset(out).class_names
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


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Printed text with its place, in every format. Not to be written to."""
    folder = tmp_path_factory.mktemp("spoken")
    for name in ("1.png", "2.png"):
        picture(folder / "in" / name)
    out = folder / "out"
    options = ("--task", "ocr-regions", "--split", "train=1")
    assert annotate(folder / "in", out, *options).code == 0
    corners = (100, 200, 500, 250, 500, 450, 100, 400)
    said = answer("STOP & <go>", *corners, task="<OCR_WITH_REGION>")
    say(out, said)
    done = command("export", out, "--format", ALL)
    assert done.code == 0, done.err
    return out


def test_printed_text_comes_with_its_place(spoken: Path) -> None:
    (one,) = expected(spoken)["1.png"].instances
    assert one.text == "STOP & <go>"
    assert len(one.quad) == 4
    voc = ElementTree.parse(spoken / "voc" / "train" / "1.xml").getroot().find("object")
    assert voc is not None
    assert voc.findtext("text") == one.text
    assert len(voc.findall("polygon/")) == 8
    (shape,) = json.loads((spoken / "labelme" / "train" / "1.json").read_text())["shapes"]
    assert (shape["shape_type"], shape["description"]) == ("polygon", one.text)
    assert np.allclose(shape["points"], one.quad, atol=1e-3)
    (task, _) = json.loads((spoken / "label-studio" / "tasks.json").read_text())
    outline, text = task["predictions"][0]["result"]
    assert outline["id"] == text["id"]
    assert np.allclose(outline["value"]["points"], np.array(one.quad) / (1.0, 0.8), atol=1e-3)
    assert text["value"]["text"] == [one.text]
    polygon = ElementTree.parse(spoken / "annotations.xml").getroot().find("image/polygon")
    assert polygon is not None
    points = [list(map(float, pair.split(","))) for pair in polygon.attrib["points"].split(";")]
    assert np.allclose(points, one.quad, atol=1e-3)
    assert polygon.findtext("attribute[@name='text']") == one.text
    for kind, folder in (("parquet", "parquet"), ("imagefolder", "images")):
        read = datasets.load_dataset(kind, data_dir=str(spoken / folder), split="train")
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
    (one,) = expected(out)["1.png"].instances
    assert len(one.polygons) == 2
    (wanted,) = expected(out)["1.png"].to_supervision().mask
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
