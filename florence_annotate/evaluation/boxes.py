"""Boxes of many images as columns, which is how they are compared: hotcoco takes and gives arrays.

Images, classes and boxes are numbered from 0 here, and from 1 by hotcoco.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hotcoco import COCO

from florence_annotate.types import Box

Mask = dict[str, Any]
"""COCO's run lengths."""


@dataclass(slots=True)
class Boxes:
    """Boxes in the order of their images."""

    has_masks: bool = False
    image: Any = field(default_factory=lambda: array("q"))
    class_index: Any = field(default_factory=lambda: array("q"))
    edges: Any = field(default_factory=lambda: array("d"))
    """x, y, width, height of each."""
    score: Any = field(default_factory=lambda: array("d"))
    """Of true ones it does not matter."""
    area: Any = field(default_factory=lambda: array("d"))
    is_crowd: Any = field(default_factory=lambda: array("b"))
    masks: list[Any] = field(default_factory=list)

    def add(
        self,
        image: int,
        class_index: int,
        box: Box,
        *,
        score: float = 1.0,
        area: float | None = None,
        is_crowd: bool = False,
        mask: Mask | None = None,
    ) -> None:
        x1, y1, x2, y2 = box
        self.image.append(image)
        self.class_index.append(class_index)
        self.edges.extend((x1, y1, x2 - x1, y2 - y1))
        self.score.append(score)
        self.area.append((x2 - x1) * (y2 - y1) if area is None else area)
        self.is_crowd.append(is_crowd)
        if mask is not None:
            self.masks.append(mask)

    def __len__(self) -> int:
        return len(self.image)

    @property
    def xywh(self) -> Any:
        return np.asarray(self.edges).reshape(-1, 4)

    def box(self, place: int) -> Box:
        x, y, width, height = self.xywh[place].tolist()
        return x, y, x + width, y + height

    def part(self, chosen: Any) -> "Boxes":
        """Those at the places that a slice or an array of bool chooses."""
        part = Boxes(self.has_masks)
        for name in ("image", "class_index", "score", "area", "is_crowd"):
            setattr(part, name, np.asarray(getattr(self, name))[chosen])
        part.edges = self.xywh[chosen].reshape(-1)
        if self.has_masks:
            places = np.arange(len(self))[chosen]
            part.masks = [self.masks[place] for place in places]
        return part


def by_images(images: int, at_once: int, *sides: Boxes) -> Iterator[tuple[slice, list[slice]]]:
    """Slices of so many images, and of the boxes of each side that are on them."""
    columns = [np.asarray(side.image) for side in sides]
    for first in range(0, images, at_once):
        last = min(first + at_once, images)
        yield (
            slice(first, last),
            [slice(*np.searchsorted(column, (first, last)).tolist()) for column in columns],
        )


def as_coco(
    images: Sequence[int], classes: int, sizes: Sequence[tuple[int, int]], true: Boxes, found: Boxes
) -> tuple[COCO, COCO]:
    """The true and the found boxes as hotcoco has them, with `classes` classes.

    `sizes` are width and height of each of the images, which are given by their numbers.
    """
    all_images = [
        {"id": number + 1, "width": width, "height": height}
        for number, (width, height) in zip(images, sizes, strict=True)
    ]
    categories = [{"id": index + 1, "name": str(index)} for index in range(classes)]
    truth = COCO.from_arrays(
        all_images,
        categories,
        np.asarray(true.image) + 1,
        np.asarray(true.class_index) + 1,
        true.xywh,
        area=np.asarray(true.area),
        iscrowd=np.asarray(true.is_crowd, dtype=bool),
        segmentation=true.masks if true.has_masks else None,
    )
    rows = (found.image, found.xywh, found.score, found.class_index)
    image, xywh, score, class_index = map(np.asarray, rows)
    table = np.column_stack([image + 1, xywh, score, class_index + 1]).astype(float)
    result = truth.load_res(table, segmentation=found.masks if found.has_masks else None)
    return truth, result
