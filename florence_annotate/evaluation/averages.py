"""COCO's averages, over overlaps from 0.50 to 0.95, sizes and classes; and what errors cost."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from hotcoco import COCOeval

from florence_annotate.evaluation.boxes import Boxes, as_coco
from florence_annotate.evaluation.matching import BACKGROUND_UP_TO, ERRORS, RIGHT_FROM, Iou

_ALL, _SMALL, _MEDIUM, _LARGE = range(4)
"""Sizes, in hotcoco's order: below 32² and 96² pixels, and above."""
_AT_50, _AT_75 = 0, 5
"""Overlaps, in hotcoco's order."""


@dataclass(frozen=True, slots=True)
class Averages:
    """Each is 0 to 1, and None where there is no true box to average over.

    Of a class, the 100 found boxes of an image with the highest scores count.
    """

    ap: float | None
    ap50: float | None
    ap75: float | None
    ap_small: float | None
    ap_medium: float | None
    ap_large: float | None
    ar: float | None
    ar_small: float | None
    ar_medium: float | None
    ar_large: float | None


@dataclass(frozen=True, slots=True)
class Curve:
    """Of a class at an overlap of 0.5: for each recall from 0 to 1 in hundredths, the best
    precision at that recall or above, and the score at which it is reached; 0 where it never is."""

    precision: list[float]
    score: list[float]


@dataclass(frozen=True, slots=True)
class Averaged:
    overall: Averages
    by_class: list[Averages]
    curves: list[Curve | None]
    """By class; None where there is no true box."""
    ap50_lost: dict[str, float]
    """TIDE's kinds of error → by how much AP50 would be higher without them."""


def average(
    true: Boxes, found: Boxes, sizes: list[tuple[int, int]], classes: int, iou: Iou
) -> Averaged:
    """The averages over the boxes on images with these sizes, of so many classes."""
    evaluation = COCOeval(*as_coco(range(len(sizes)), classes, sizes, true, found), iou)
    evaluation.evaluate()
    evaluation.accumulate()
    table = evaluation.eval
    assert table is not None  # accumulate() made it
    precision, recall, score = (np.asarray(table[n]) for n in ("precision", "recall", "scores"))
    tide = evaluation.tide_errors(pos_thr=RIGHT_FROM, bg_thr=BACKGROUND_UP_TO)
    return Averaged(
        _averages(precision, recall),
        [
            _averages(precision[:, :, index : index + 1], recall[:, index : index + 1])
            for index in range(classes)
        ],
        [
            _curve(precision[_AT_50, :, index, _ALL, -1], score[_AT_50, :, index, _ALL, -1])
            for index in range(classes)
        ],
        {name: tide["delta_ap"][kind] for kind, name in ERRORS.items()},
    )


def _averages(precision: Any, recall: Any) -> Averages:
    """From arrays over overlap, recall, class, size and most boxes; and the same but for recall."""

    def mean(values: Any) -> float | None:
        there = values[values > -1]
        return float(np.mean(there)) if there.size else None

    ap = [mean(precision[:, :, :, size, -1]) for size in (_ALL, _SMALL, _MEDIUM, _LARGE)]
    ar = [mean(recall[:, :, size, -1]) for size in (_ALL, _SMALL, _MEDIUM, _LARGE)]
    ap50, ap75 = (mean(precision[overlap, :, :, _ALL, -1]) for overlap in (_AT_50, _AT_75))
    return Averages(ap[0], ap50, ap75, ap[1], ap[2], ap[3], ar[0], ar[1], ar[2], ar[3])


def _curve(precision: Any, score: Any) -> Curve | None:
    if (precision < 0).all():
        return None
    return Curve(precision.tolist(), np.maximum(score, 0).tolist())
