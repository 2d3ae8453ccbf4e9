"""COCO results, loaded by pycocotools."""

import contextlib
import io
from pathlib import Path

import pytest
from conftest import command
from pycocotools.coco import COCO
from read_back import annotated_images, read_coco
from written_answers import answer, written_job

from florence_annotate.types import Answer

RED_CAR = answer("car", 100, 200, 500, 600)

# pycocotools' own, about numpy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def test_coco_scores_are_taken_as_results(dataset: Path, tmp_path: Path) -> None:
    read = read_coco(dataset / "annotations" / "instances_train.json")
    results = [
        {name: row[name] for name in ("image_id", "category_id", "bbox", "score")}
        for row in read.loadAnns(read.getAnnIds())
    ]
    assert len(read.loadRes(results).getAnnIds()) == len(results)


@pytest.mark.parametrize(
    ("said", "split", "missing"),
    [
        ([RED_CAR], "train=0.999999,val=0.000001", ["val"]),
        ([], "train=0.999999,val=0.000001", ["train", "val"]),
        ([], "train=1", ["train"]),
    ],
)
def test_a_split_without_a_result_has_no_file(
    said: list[Answer], split: str, missing: list[str], tmp_path: Path
) -> None:
    out = written_job(tmp_path, {"a.png": said}, split=split)
    result = command("export", out, "--format", "coco,coco-results", "--json")
    assert result.code == 0, result.err
    assert result.json["splits_without_results"] == missing
    files = list((out / "annotations").glob("results_*.json"))
    assert [file.name for file in files] == ["results_train.json"] * len(said)
    for file in files:
        read = read_coco(out / "annotations" / "instances_train.json")
        assert len(read.loadRes(str(file)).getAnnIds()) == 1
    screen = command("export", out, "--format", "coco,coco-results").out
    assert f"no result in the split {missing[-1]}" in screen


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
