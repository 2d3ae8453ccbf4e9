"""Arithmetic of boxes: x1, y1, x2, y2 in pixels."""

from florence_annotate.types import Box


def iou(first: Box, second: Box) -> float:
    """Intersection over union of two boxes of positive area."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    if width <= 0 or height <= 0:
        return 0.0
    intersection = width * height
    return intersection / (area(first) + area(second) - intersection)


def area(box: Box) -> float:
    """In square pixels."""
    return (box[2] - box[0]) * (box[3] - box[1])
