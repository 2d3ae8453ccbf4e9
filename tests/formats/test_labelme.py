"""LabelMe, loaded by supervision: LabelMe's own package needs Qt."""

import json
from pathlib import Path

import pytest
import supervision as sv
from conftest import annotate
from PIL import Image
from read_back import annotated_images, assert_same, objects_of, with_class_ids
from written_answers import picture

import florence_annotate


@pytest.mark.parametrize("split", ["train", "val"])
def test_labelme_is_read_by_supervision_with_the_same_boxes(exported: Path, split: str) -> None:
    images, names = annotated_images(exported), florence_annotate.open_dataset(exported).class_names
    read = sv.DetectionDataset.from_labelme(
        str(exported / "images" / split), str(exported / "labelme" / split)
    )
    assert len(read) == len(list((exported / "images" / split).glob("*.jpg"))) > 0
    for path, _, detections in read:
        found = sorted(with_class_ids(detections, read.classes, names))
        assert_same(found, objects_of(images[Path(path).name]), 1e-3)


def test_labelme_finds_its_images_from_where_its_files_lie(tmp_path: Path) -> None:
    for name in ("1.png", "a/b/2.png"):
        picture(tmp_path / "in" / name)
    out = tmp_path / "out"
    assert annotate(tmp_path / "in", out, "--format", "labelme").code == 0
    files = sorted((out / "labelme").rglob("*.json"))
    assert len(files) == 2
    for file in files:
        with Image.open(file.parent / json.loads(file.read_text())["imagePath"]) as found:
            assert found.size == (100, 80)
