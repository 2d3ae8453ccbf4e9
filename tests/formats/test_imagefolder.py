"""A folder of images, loaded by `datasets`."""

import json
import shutil
from pathlib import Path

import datasets
import pytest
import supervision as sv
from conftest import command
from read_back import annotated_images, assert_same, hub_objects, objects_of
from written_answers import answer, written_job

from florence_annotate.tasks import CAPTION, MORE_DETAILED_CAPTION, OD
from florence_annotate.types import Question

pytestmark = pytest.mark.usefixtures("datasets_cache")


def test_an_image_folder_is_read_by_datasets(exported: Path) -> None:
    images = annotated_images(exported)
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


def test_the_text_column_is_the_longest_caption_as_diffusers_reads_it(tmp_path: Path) -> None:
    asked = [Question(CAPTION), Question(MORE_DETAILED_CAPTION)]
    both = [answer("a cat", task=CAPTION), answer("A cat sits.", task=MORE_DETAILED_CAPTION)]
    out = written_job(tmp_path, {"1.png": both, "2.png": [answer(task=CAPTION)]}, asked)
    options = ("--format", "imagefolder,txt", "--caption-prefix", "ohwx, ")
    assert command("export", out, *options).code == 0
    # diffusers' examples/text_to_image/train_text_to_image_lora.py, with --train_data_dir
    data_files = {"train": str(out / "images" / "train" / "**")}
    read = datasets.load_dataset("imagefolder", data_files=data_files)["train"]
    assert read["text"] == ["ohwx, A cat sits.", ""]
    assert read["captions"][0] == ["ohwx, a cat", "ohwx, A cat sits."]


def test_tags_make_a_text_column_and_boxes_alone_make_none(tmp_path: Path) -> None:
    found = [answer("cat", 1, 2, 300, 400, "sofa", 5, 5, 600, 700)]
    out = written_job(tmp_path, {"1.png": found}, [Question(OD)], formats="imagefolder")
    metadata = out / "images" / "train" / "metadata.jsonl"
    assert command("export", out).code == 0
    assert "text" not in json.loads(metadata.read_text())
    assert command("export", out, "--join", "tags").code == 0
    assert json.loads(metadata.read_text())["text"] == "cat, sofa"


def test_an_image_folder_comes_and_goes_as_any_format(exported: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(exported, tmp_path / "out", symlinks=True))
    metadata = out / "images" / "val" / "metadata.jsonl"
    metadata.write_text("mine")
    (tmp_path / "backup").hardlink_to(metadata)
    assert command("export", out, "--format", "yolo").code == 0
    assert metadata.read_text() == "mine"
    assert command("export", out, "--format", "yolo", "--overwrite").code == 0
    assert not metadata.exists()
    assert not list(out.glob("orphans"))
    assert len(list((out / "images").rglob("*.jpg"))) == 20
