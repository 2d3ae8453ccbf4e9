"""Outlines, turned boxes and captions, loaded by the readers that users have."""

import contextlib
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import supervision as sv
from conftest import annotate, command
from pycocotools.coco import COCO
from supervision.config import ORIENTED_BOX_COORDINATES
from written_answers import answer, picture, say

import florence_annotate
from florence_annotate.dataset.annotated_image import AnnotatedImage

# pycocotools' own, about numpy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

RING = (100, 100, 500, 100, 500, 500, 100, 500), (200, 200, 400, 200, 400, 400, 200, 400)
TRIANGLE = (600, 600, 900, 600, 750, 900)


@pytest.fixture(scope="module")
def outlined(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ring with its hole and a triangle in each of two pictures. Not to be written to."""
    folder = tmp_path_factory.mktemp("outlined")
    for name in ("1.png", "2.png"):
        picture(folder / "in" / name, (200, 160))
    out = folder / "out"
    options = ("--task", "segmentation", "--text", "thing", "--split", "train=1")
    assert annotate(folder / "in", out, *options).code == 0
    ring = "<poly>", *RING[0], "<sep>", *RING[1], "</poly>"
    tokens = *ring, "<poly>", *TRIANGLE, "</poly>"
    task = "<REFERRING_EXPRESSION_SEGMENTATION>"
    said = answer(*tokens, task=task, logprobs=[-0.25] * len(tokens))
    say(out, replace(said, question=replace(said.question, text="thing")))
    done = command("export", out, "--format", "yolo-seg,coco,coco-results,jsonl")
    assert done.code == 0, done.err
    return out


def expected(out: Path) -> list[AnnotatedImage]:
    return list(florence_annotate.open_dataset(out))


def read_coco(file: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(file))


def test_coco_has_polygons_and_run_lengths_with_the_same_masks(outlined: Path) -> None:
    read = read_coco(outlined / "annotations" / "instances_train.json")
    for image_id, image in enumerate(expected(outlined), start=1):
        ring, triangle = read.loadAnns(read.getAnnIds(image_id))
        masks = image.to_supervision().mask
        assert (read.annToMask(ring) == masks[0]).all()
        assert not read.annToMask(ring)[48, 60]  # the hole
        assert ring["area"] == masks[0].sum()
        assert isinstance(triangle["segmentation"], list)
        assert (read.annToMask(triangle) ^ masks[1]).sum() < 0.1 * masks[1].sum()
        assert triangle["area"] == pytest.approx(60 * 48 / 2)


def test_coco_results_belong_to_the_instances(outlined: Path) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(outlined / "annotations" / "instances_train.json"))
        results = truth.loadRes(str(outlined / "annotations" / "results_train.json"))
    for image_id, image in enumerate(expected(outlined), start=1):
        found = results.loadAnns(results.getAnnIds(image_id))
        masks = image.to_supervision().mask
        for row, instance, mask in zip(found, image.instances, masks, strict=True):
            assert (results.annToMask(row) == mask).all()
            assert row["score"] == pytest.approx(instance.score, abs=1e-4)
            assert row["category_id"] == 1


def test_yolo_outlines_are_read_by_supervision_with_the_same_masks(outlined: Path) -> None:
    read = sv.DetectionDataset.from_yolo(
        str(outlined / "images/train"),
        str(outlined / "labels/train"),
        str(outlined / "data.yaml"),
        force_masks=True,
    )
    wanted = {image.ref.key: image.to_supervision().mask for image in expected(outlined)}
    seen = 0
    for path, _, detections in read:
        for mask, other in zip(detections.mask, wanted[Path(path).name], strict=True):
            assert (mask ^ other).sum() < 0.1 * other.sum()
            seen += 1
    assert seen == 4


def test_json_lines_are_read_by_pandas_with_the_same_points(outlined: Path) -> None:
    table = pandas.read_json(outlined / "annotations.jsonl", lines=True)
    for row, image in zip(table.to_dict("records"), expected(outlined), strict=True):
        assert row["key"] == image.ref.key
        for one, instance in zip(row["instances"], image.instances, strict=True):
            assert one["box"] == pytest.approx(instance.box)
            for flat, polygon in zip(one["polygons"], instance.polygons, strict=True):
                assert np.allclose(np.reshape(flat, (-1, 2)), polygon)


def spoken(folder: Path, task: str, *said: Any) -> Path:
    """A job about one picture, in which the model said this."""
    picture(folder / "in" / "1.png", (200, 160))
    out = folder / "out"
    options = ("--task", task, "--split", "train=1", "--no-canary")
    assert annotate(folder / "in", out, *options).code == 0
    say(out, answer(*said, task=task))
    return out


def test_turned_boxes_are_read_by_supervision_with_the_same_corners(tmp_path: Path) -> None:
    out = spoken(tmp_path, "<OCR_WITH_REGION>", "STOP", 100, 200, 500, 250, 490, 450, 90, 400)
    assert command("export", out, "--format", "yolo-obb").code == 0
    ((_, _, detections),) = sv.DetectionDataset.from_yolo(
        str(out / "images/train"), str(out / "labels/train"), str(out / "data.yaml"), is_obb=True
    )
    (image,) = expected(out)
    corners = detections.data[ORIENTED_BOX_COORDINATES][0]
    assert np.allclose(corners, image.instances[0].quad, atol=0.01)


def test_captions_are_read_by_pycocotools(tmp_path: Path) -> None:
    out = spoken(tmp_path, "<CAPTION>", "a red wall, and a fence")
    assert command("export", out, "--format", "coco-captions").code == 0
    read = read_coco(out / "annotations" / "captions_train.json")
    (caption,) = read.loadAnns(read.getAnnIds())
    assert read.imgs[caption["image_id"]]["file_name"] == "1.png"
    assert caption["caption"] == "a red wall, and a fence"
