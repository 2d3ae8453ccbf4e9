"""COCO, loaded by pycocotools and supervision."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import supervision as sv
from conftest import command
from read_back import annotated_images, objects_of, read_coco

# pycocotools' own, about numpy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def test_coco_is_read_by_pycocotools_with_the_same_boxes(dataset: Path) -> None:
    expected, seen = (
        {key: objects_of(image) for key, image in annotated_images(dataset).items()},
        {},
    )
    images: list[int] = []
    annotations: list[int] = []
    for split in ("train", "val"):
        read = read_coco(dataset / "annotations" / f"instances_{split}.json")
        images += read.getImgIds()
        annotations += read.getAnnIds()
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
    for ids in (images, annotations):
        assert sorted(ids) == list(range(1, len(ids) + 1))
    assert seen.keys() == expected.keys()
    for key, found in seen.items():
        assert [class_id for class_id, _ in found] == [class_id for class_id, _ in expected[key]]
        assert np.allclose([b for _, b in found], [b for _, b in expected[key]], atol=2e-4)


def test_coco_is_read_by_supervision(dataset: Path) -> None:
    read = sv.DetectionDataset.from_coco(
        images_directory_path=str(dataset / "images" / "train"),
        annotations_path=str(dataset / "annotations" / "instances_train.json"),
    )
    assert len(read) == len(list((dataset / "images" / "train").iterdir()))


def test_coco_has_polygons_and_run_lengths_with_the_same_masks(outlined: Path) -> None:
    read = read_coco(outlined / "annotations" / "instances_train.json")
    for image_id, image in enumerate(annotated_images(outlined).values(), start=1):
        ring, triangle = read.loadAnns(read.getAnnIds(image_id))
        masks = image.to_supervision().mask
        assert (read.annToMask(ring) == masks[0]).all()
        assert not read.annToMask(ring)[48, 60]  # the hole
        assert ring["area"] == masks[0].sum()
        assert isinstance(triangle["segmentation"], list)
        assert (read.annToMask(triangle) ^ masks[1]).sum() < 0.1 * masks[1].sum()
        assert triangle["area"] == pytest.approx(60 * 48 / 2)


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
