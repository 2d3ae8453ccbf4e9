"""What the images of a job hold, beyond the counts: scores, sizes, shapes, what is empty or failed,
and what other thresholds would keep."""

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from florence_annotate.dataset.annotated_image import AnnotatedImage
from florence_annotate.dataset.statistics import Statistics
from florence_annotate.geometry.boxes import area

THRESHOLDS = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Of the score; told is what each would keep."""
SCORE_BINS = 10
SMALL, MEDIUM = 32**2, 96**2
"""Square pixels below which COCO calls an object small, and medium."""
SIZES = {
    "small": f"small (under {SMALL**0.5:.0f}² pixels)",
    "medium": f"medium (under {MEDIUM**0.5:.0f}²)",
    "large": "large",
}
"""Name → what it means."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
SHAPES = (1 / 3, 2 / 3, 3 / 2, 3.0)
"""Widths by heights between which shapes are counted."""
SHAPE_NAMES = (
    "over three times as high as wide",
    "higher than wide",
    "about square (2:3 to 3:2)",
    "wider than high",
    "over three times as wide as high",
)
BOXES_AN_IMAGE = (0, 1, 2, 5, 10, 20)
"""The fewest boxes of each group of images."""
CROWD_NAMES = (
    *(
        f"{low}" if high == low + 1 else f"{low} to {high - 1}"
        for low, high in pairwise(BOXES_AN_IMAGE)
    ),
    f"{BOXES_AN_IMAGE[-1]} or more",
)
"""How many boxes the images of a group have."""
SHOWN = 10
"""Names of images that are kept of each kind."""


@dataclass(slots=True)
class Named:
    """Images of one kind: how many, and the first of them."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, key: str) -> None:
        self.count += 1
        if self.count <= SHOWN:
            self.first.append(key)


@dataclass(slots=True)
class Kept:
    """What a threshold would keep."""

    boxes: int = 0
    images: int = 0
    """With a box, or a caption."""

    def add(self, boxes: int, is_labelled: bool) -> None:
        self.boxes += boxes
        self.images += is_labelled


class Distributions:
    """Filled while the images of a job are read."""

    def __init__(self) -> None:
        self.statistics = Statistics()
        self.images = 0
        """Those that something was asked about."""
        self.empty = Named()
        self.truncated = Named()
        self.failed = Named()
        self.failures: Counter[str] = Counter()
        """Failed images by the kind of failure."""
        self.kept_scores = [0] * SCORE_BINS
        self.dropped_scores = [0] * SCORE_BINS
        """Of what is left out and has a box."""
        self.sizes: Counter[str] = Counter()
        self.boxes_an_image: Counter[int] = Counter()
        self.thresholds = {threshold: Kept() for threshold in THRESHOLDS}
        self.nearest: dict[str, str | None] = {}
        """Labels of no class, and the class that is near."""
        self._shares = array("f")
        self._ratios = array("f")

    def add(self, image: AnnotatedImage) -> None:
        """An image under the policy of the dataset."""
        if not image.was_asked:
            self.statistics.not_asked += 1
            return
        self.images += 1
        self.statistics.add(image)
        if not image.is_labelled:
            self.empty.add(image.ref.key)
        if image.truncated:
            self.truncated.add(image.ref.key)
        self.boxes_an_image[len(image.instances)] += 1
        whole = float(image.width * image.height)
        for one in image.instances:
            size = area(one.box)
            self.kept_scores[_bin(one.score)] += 1
            self.sizes["small" if size < SMALL else "medium" if size < MEDIUM else "large"] += 1
            self._shares.append(size / whole)
            self._ratios.append((one.box[2] - one.box[0]) / (one.box[3] - one.box[1]))
        for dropped in image.dropped:
            if dropped.box is not None:
                self.dropped_scores[_bin(dropped.score)] += 1

    @property
    def shares(self) -> list[float]:
        """Quantiles of the part of the image that a box covers; empty where there is no box."""
        return _quantiles(self._shares)

    @property
    def ratios(self) -> list[float]:
        """Quantiles of the widths of boxes by their heights."""
        return _quantiles(self._ratios)

    @property
    def shapes(self) -> list[int]:
        """Boxes between the SHAPES: below the first, …, above the last."""
        where = np.searchsorted(SHAPES, np.asarray(self._ratios), side="right")
        return [int(one) for one in np.bincount(where, minlength=len(SHAPES) + 1)]

    @property
    def crowds(self) -> list[int]:
        """Images by their number of boxes; see BOXES_AN_IMAGE."""
        groups = [0] * len(BOXES_AN_IMAGE)
        for boxes, images in self.boxes_an_image.items():
            groups[bisect_right(BOXES_AN_IMAGE, boxes) - 1] += images
        return groups


def _bin(score: float) -> int:
    return min(SCORE_BINS - 1, int(score * SCORE_BINS))


def _quantiles(values: Sequence[float]) -> list[float]:
    return [float(one) for one in np.quantile(np.asarray(values), QUANTILES)] if values else []
