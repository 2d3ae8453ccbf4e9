"""Averages are pycocotools' own, to the last digit."""

import contextlib
import copy
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from florence_annotate.evaluation.averages import average
from florence_annotate.evaluation.boxes import Boxes
from florence_annotate.evaluation.matching import Iou
from florence_annotate.geometry.polygons import encode_mask

CLASSES = 4
SIZE = (320, 240)
IMAGES = 40


def polygon(box: Sequence[float]) -> list[tuple[float, float]]:
    """Three corners of a box, and the middle of its right side."""
    x1, y1, x2, y2 = box
    return [(x1, y1), (x2, y1), (x2, (y1 + y2) / 2), (x1, y2)]


def some_boxes(seed: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """True and found boxes: of all sizes, some nearly right, crowds among them, scores that are
    equal, over 100 of one class on an image, and a class that is never there."""
    rng = np.random.default_rng(seed)
    true, found = [], []
    for image in range(IMAGES):
        for _ in range(int(rng.integers(0, 12))):
            x1, y1 = rng.uniform(0, 200, 2)
            width, height = rng.uniform(3, 120, 2)
            box = (x1, y1, min(x1 + width, 319.0), min(y1 + height, 239.0))
            class_index = int(rng.integers(0, CLASSES - 1))
            crowd = bool(rng.random() < 0.08)
            true.append({"image": image, "class": class_index, "box": box, "crowd": crowd})
            for _ in range(int(rng.integers(0, 3))):
                moved = np.sort((np.array(box) + rng.normal(0, 4, 4)).reshape(2, 2), axis=0)
                said = class_index if rng.random() < 0.9 else int(rng.integers(0, CLASSES))
                found.append(a_found(image, said, moved.reshape(-1).tolist(), rng))
    for _ in range(130):
        place = rng.uniform(0, 200, 2)
        found.append(a_found(3, 0, [*place, *(place + rng.uniform(5, 60, 2))], rng))
    return true, sorted(found, key=lambda one: one["image"])


def a_found(image: int, said: int, box: list[float], rng: Any) -> dict[str, Any]:
    return {"image": image, "class": said, "box": box, "score": round(rng.random(), 1)}


def ours(true: Any, found: Any, iou: Iou) -> Any:
    has_masks = iou == "segm"

    def mask(one: Any) -> Any:
        return encode_mask([tuple(polygon(one["box"]))], *SIZE) if has_masks else None

    mine, theirs = Boxes(has_masks), Boxes(has_masks)
    for one in true:
        mine.add(one["image"], one["class"], one["box"], is_crowd=one["crowd"], mask=mask(one))
    for one in found:
        theirs.add(one["image"], one["class"], one["box"], score=one["score"], mask=mask(one))
    return average(mine, theirs, [SIZE] * IMAGES, CLASSES, iou)


def of_pycocotools(true: Any, found: Any, iou: Iou) -> Any:
    def annotation(number: int, one: Any) -> dict[str, Any]:
        x1, y1, x2, y2 = one["box"]
        row = {"image_id": one["image"] + 1, "category_id": one["class"] + 1}
        row |= {"bbox": [x1, y1, x2 - x1, y2 - y1]}
        if iou == "segm":
            row["segmentation"] = encode_mask([tuple(polygon(one["box"]))], *SIZE)
        if "score" in one:
            return row | {"score": one["score"]}
        return row | {"id": number, "area": (x2 - x1) * (y2 - y1), "iscrowd": int(one["crowd"])}

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        width, height = SIZE
        truth.dataset = {
            "info": {},
            "images": [{"id": i + 1, "width": width, "height": height} for i in range(IMAGES)],
            "categories": [{"id": i + 1, "name": str(i)} for i in range(CLASSES)],
            "annotations": [annotation(number, one) for number, one in enumerate(true, 1)],
        }
        truth.createIndex()
        result = truth.loadRes([annotation(0, one) for one in copy.deepcopy(found)])
        evaluation = COCOeval(truth, result, iou)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


@pytest.mark.parametrize("iou", ["bbox", "segm"])
@pytest.mark.parametrize("seed", range(4))
def test_averages_are_those_of_pycocotools(seed: int, iou: Iou) -> None:
    true, found = some_boxes(seed)
    figures = ours(true, found, iou)
    wanted = of_pycocotools(true, found, iou)
    of_all = figures.overall
    assert [of_all.ap, of_all.ap50, of_all.ap75] == wanted.stats[:3].tolist()
    assert [of_all.ap_small, of_all.ap_medium, of_all.ap_large] == wanted.stats[3:6].tolist()
    ar = [of_all.ar, of_all.ar_small, of_all.ar_medium, of_all.ar_large]
    assert ar == wanted.stats[8:12].tolist()
    precision = wanted.eval["precision"]
    for index in range(CLASSES - 1):
        assert figures.by_class[index].ap == precision[:, :, index, 0, -1].mean()
        assert figures.curves[index].precision == precision[0, :, index, 0, -1].tolist()
    assert figures.by_class[-1].ap is None and figures.curves[-1] is None


def test_what_an_error_costs_is_told_by_kind() -> None:
    true, found = Boxes(), Boxes()
    for image in range(4):
        true.add(image, 0, (10, 10, 60, 60))
        found.add(image, 0 if image else 1, (10, 10, 60, 60), score=0.9)
    true.add(3, 0, (100, 100, 150, 150))
    lost = average(true, found, [SIZE] * 4, 2, "bbox").ap50_lost
    assert lost["class"] > 0.1 and lost["missed"] > 0.1
    assert lost["localisation"] == lost["duplicate"] == lost["background"] == lost["both"] == 0
