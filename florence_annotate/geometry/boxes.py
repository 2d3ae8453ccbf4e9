"""Arithmetic of boxes.

A box is x1, y1, x2, y2 in pixels, x to the right and y down, with x1 ≤ x2 and y1 ≤ y2.
"""

import math
from collections.abc import Sequence

from florence_annotate.types import Box


def iou(first: Box, second: Box) -> float:
    """Intersection over union of two boxes of positive area, in [0, 1]."""
    shared = intersection(first, second)
    return area(shared) / (area(first) + area(second) - area(shared)) if shared else 0.0


def part_within(inner: Box, outer: Box) -> float:
    """The part of the inner box's area that lies in the outer one, in [0, 1]."""
    shared = intersection(inner, outer)
    return area(shared) / area(inner) if shared else 0.0


def intersection(first: Box, second: Box) -> Box | None:
    """The box that two boxes share; None where it has no area."""
    left, top = max(first[0], second[0]), max(first[1], second[1])
    right, bottom = min(first[2], second[2]), min(first[3], second[3])
    return (left, top, right, bottom) if left < right and top < bottom else None


def around(boxes: Sequence[Box]) -> Box:
    """The smallest box that holds all the boxes, of which there is at least one."""
    left, top, right, bottom = zip(*boxes, strict=True)
    return min(left), min(top), max(right), max(bottom)


def clipped(box: Box, width: int, height: int) -> Box:
    """The part of a box that lies on an image of so many pixels, its corners put in order."""
    x1, y1, x2, y2 = box
    left, right = (x1, x2) if x1 <= x2 else (x2, x1)
    top, bottom = (y1, y2) if y1 <= y2 else (y2, y1)
    return max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height))


def area(box: Box) -> float:
    """The area of a box in square pixels."""
    return (box[2] - box[0]) * (box[3] - box[1])


def size(box: Box) -> tuple[int, int]:
    """Width and height of a box with corners on whole pixels."""
    return round(box[2] - box[0]), round(box[3] - box[1])


def holds(outer: Box, inner: Box) -> bool:
    """Whether the inner box lies wholly in the outer one; edges may touch."""
    is_within = outer[0] <= inner[0] and outer[1] <= inner[1]
    return is_within and inner[2] <= outer[2] and inner[3] <= outer[3]


def within(box: Box, view: Box) -> Box:
    """The box in pixels from the upper left corner of a view, which is given in the same pixels."""
    return box[0] - view[0], box[1] - view[1], box[2] - view[0], box[3] - view[1]


def distance(first: Box, second: Box) -> float:
    """The distance between the centres of two boxes, in pixels."""
    return (
        math.dist(
            (first[0] + first[2], first[1] + first[3]),
            (second[0] + second[2], second[1] + second[3]),
        )
        / 2
    )
