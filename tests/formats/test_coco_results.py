"""COCO results, loaded by pycocotools."""

import contextlib
import io
from pathlib import Path

import pytest
from pycocotools.coco import COCO
from read_back import annotated_images, read_coco

# pycocotools' own, about numpy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def test_coco_scores_are_taken_as_results(dataset: Path, tmp_path: Path) -> None:
    read = read_coco(dataset / "annotations" / "instances_train.json")
    results = [
        {name: row[name] for name in ("image_id", "category_id", "bbox", "score")}
        for row in read.loadAnns(read.getAnnIds())
    ]
    assert len(read.loadRes(results).getAnnIds()) == len(results)


def test_coco_results_belong_to_the_instances(outlined: Path) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(outlined / "annotations" / "instances_train.json"))
        results = truth.loadRes(str(outlined / "annotations" / "results_train.json"))
    for image_id, image in enumerate(annotated_images(outlined).values(), start=1):
        found = results.loadAnns(results.getAnnIds(image_id))
        masks = image.to_supervision().mask
        for row, instance, mask in zip(found, image.instances, masks, strict=True):
            assert (results.annToMask(row) == mask).all()
            assert row["score"] == pytest.approx(instance.score, abs=1e-4)
            assert row["category_id"] == 1
