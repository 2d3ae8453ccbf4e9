"""Arithmetic of boxes: x1, y1, x2, y2 in pixels."""

import math

from florence_annotate.types import Box


def iou(first: Box, second: Box) -> float:
    """Intersection over union of two boxes of positive area."""
    shared = _intersection(first, second)
    return shared / (area(first) + area(second) - shared) if shared else 0.0


def part_within(inner: Box, outer: Box) -> float:
    """The part of a box's area that lies in another."""
    shared = _intersection(inner, outer)
    return shared / area(inner) if shared else 0.0


def _intersection(first: Box, second: Box) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    return width * height if width > 0 and height > 0 else 0.0


def area(box: Box) -> float:
    """In square pixels."""
    return (box[2] - box[0]) * (box[3] - box[1])


def size(box: Box) -> tuple[int, int]:
    """Width and height of a box of whole pixels."""
    return round(box[2] - box[0]), round(box[3] - box[1])


def holds(outer: Box, inner: Box) -> bool:
    """Whether a box lies wholly in another."""
    is_within = outer[0] <= inner[0] and outer[1] <= inner[1]
    return is_within and inner[2] <= outer[2] and inner[3] <= outer[3]


def within(box: Box, view: Box) -> Box:
    """A box of the picture, counted from a view's upper left corner."""
    return box[0] - view[0], box[1] - view[1], box[2] - view[0], box[3] - view[1]


def distance(first: Box, second: Box) -> float:
    """Between the middles."""
    return (
        math.dist(
            (first[0] + first[2], first[1] + first[3]),
            (second[0] + second[2], second[1] + second[3]),
        )
        / 2
    )
