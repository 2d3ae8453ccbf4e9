"""COCO captions, loaded by pycocotools."""

from pathlib import Path

from conftest import command
from read_back import read_coco
from written_answers import answered_job


def test_captions_are_read_by_pycocotools(tmp_path: Path) -> None:
    out = answered_job(tmp_path, "<CAPTION>", "a red wall, and a fence")
    assert command("export", out, "--format", "coco-captions").code == 0
    read = read_coco(out / "annotations" / "captions_train.json")
    (caption,) = read.loadAnns(read.getAnnIds())
    assert read.imgs[caption["image_id"]]["file_name"] == "1.png"
    assert caption["caption"] == "a red wall, and a fence"
