"""Which found box is which true one, at one overlap: what is right, wrong and missed.

hotcoco matches as COCO does: in an image and a class, the found box of the highest score takes the
true one that it overlaps best. It is asked about some images at a time, since what it says about
each box takes more memory than the box.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from hotcoco import COCOeval

from florence_annotate.evaluation.boxes import Boxes, as_coco, by_images

Iou = Literal["bbox", "segm"]

RIGHT_FROM = 0.5
"""The least intersection over union of a right box with its true one."""
BACKGROUND_UP_TO = 0.1
"""Of TIDE: who overlaps nothing by more than this saw something in the background."""

ERRORS = {
    "Cls": "class",
    "Loc": "localisation",
    "Both": "both",
    "Dupe": "duplicate",
    "Bkg": "background",
    "Miss": "missed",
}
"""TIDE's kinds of error: as hotcoco calls them, and as they are called here."""

_MOST = 1_000_000
"""Boxes of a class on an image that count. COCO's 100 are for its averages alone."""
_IMAGES_AT_ONCE = 2000


@dataclass(frozen=True, slots=True)
class Matches:
    right: Any
    """Of each found box: 1 right, 0 wrong, -1 neither, since it lies on a crowd."""
    seen: Any
    """Of each true box: 1 found, 0 missed, -1 nobody is asked for it."""
    confusion: Any
    """Rows: the true class; columns: the class that was said. The last of both: nothing."""
    errors: dict[str, int]
    """TIDE's kinds of error → how many."""


def match(
    true: Boxes, found: Boxes, sizes: list[tuple[int, int]], classes: int, iou: Iou
) -> Matches:
    """Compare the boxes on images with these sizes, of so many classes."""
    right = np.full(len(found), -1, dtype=np.int8)
    seen = np.full(len(true), -1, dtype=np.int8)
    confusion = np.zeros((classes + 1, classes + 1), dtype=np.int64)
    errors = dict.fromkeys(ERRORS.values(), 0)
    for images, (of_true, of_found) in by_images(len(sizes), _IMAGES_AT_ONCE, true, found):
        numbers = range(images.start, images.stop)
        some_true, some_found = true.part(of_true), found.part(of_found)
        evaluation = evaluator(numbers, classes, sizes[images], some_true, some_found, iou)
        said = evaluation.image_diagnostics(iou_thr=RIGHT_FROM, score_thr=2.0)
        _note(right[of_found], said["dt_status"], "tp")
        _note(seen[of_true], said["gt_status"], "matched")
        tide = evaluation.tide_errors(pos_thr=RIGHT_FROM, bg_thr=BACKGROUND_UP_TO)
        for kind, count in tide["counts"].items():
            errors[ERRORS[kind]] += count
        is_judged = right[of_found] >= 0
        if not is_judged.all():  # what lies on a crowd would be confused with the background
            judged = some_found.part(is_judged)
            evaluation = evaluator(numbers, classes, sizes[images], some_true, judged, iou)
        matrix = evaluation.confusion_matrix(iou_thr=RIGHT_FROM, max_det=_MOST)["matrix"]
        confusion += matrix.astype(np.int64)
    return Matches(right, seen, confusion, errors)


def evaluator(
    images: range,
    classes: int,
    sizes: list[tuple[int, int]],
    true: Boxes,
    found: Boxes,
    iou: Iou,
) -> COCOeval:
    """hotcoco's, which has compared all boxes at the one overlap, whatever their sizes."""
    evaluation = COCOeval(*as_coco(images, classes, sizes, true, found), iou)
    evaluation.params.iou_thrs = [RIGHT_FROM]
    evaluation.params.max_dets = [_MOST]
    evaluation.params.area_rng = [[0, 1e10]]
    evaluation.params.area_rng_lbl = ["all"]
    evaluation.evaluate()
    return evaluation


def _note(column: Any, status: dict[int, str], good: str) -> None:
    for number, said in status.items():
        column[number - 1] = said == good
