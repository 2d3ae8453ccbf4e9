"""Precision, recall and F1: at a threshold, and at the one where F1 is best."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Rates:
    """What is None can't be told: the precision of no box, the recall of no object."""

    boxes: int
    right: int
    objects: int
    """True ones."""
    min_score: float | None = None
    """The one that gives these; None: as the policy has it."""

    @property
    def precision(self) -> float | None:
        return self.right / self.boxes if self.boxes else None

    @property
    def recall(self) -> float | None:
        return self.right / self.objects if self.objects else None

    @property
    def f1(self) -> float | None:
        whole = self.boxes + self.objects
        return 2 * self.right / whole if whole else None

    def to_json(self) -> dict[str, float | None]:
        rates = {"precision": self.precision, "recall": self.recall, "f1": self.f1}
        counts = {"boxes": self.boxes, "right": self.right, "objects": self.objects}
        least = {} if self.min_score is None else {"min_score": self.min_score}
        return {**rates, **counts, **least}


def best_rates(scores: Any, is_right: Any, objects: int) -> Rates | None:
    """The rates at the `min_score` with the best F1; of several the lowest.

    `scores` and `is_right` are arrays over found boxes, `objects` counts the true ones. None where
    there is no right box, since no threshold is better than another then.
    """
    if not len(scores) or not is_right.any():
        return None
    order = np.argsort(-scores, kind="stable")
    scores, right = scores[order], np.cumsum(is_right[order])
    boxes = np.arange(1, len(scores) + 1)
    is_end = np.append(scores[1:] != scores[:-1], True)  # equal scores are kept or left together
    f1 = np.where(is_end, 2 * right / (boxes + objects), -1.0)
    last = len(f1) - 1 - int(np.argmax(f1[::-1]))
    lower = float(scores[last + 1]) if last + 1 < len(scores) else None
    least = short_threshold(float(scores[last]), lower)
    return Rates(last + 1, int(right[last]), objects, least)


def short_threshold(score: float, lower: float | None) -> float:
    """The number of the fewest decimals that keeps a score and not the next lower one, as far from
    both as may be; 0 where there is no lower one."""
    if lower is None:
        return 0.0
    for digits in range(1, 17):
        cut = round((lower + score) / 2, digits)
        if lower < cut <= score:
            return cut
    return score
