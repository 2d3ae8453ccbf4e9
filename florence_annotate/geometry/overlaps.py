"""Which of many boxes overlap."""

from collections.abc import Sequence

from florence_annotate.types import Box

_ROWS = 256
"""Boxes that are held to all others at once, so that memory does not grow with their square."""


def overlapping(boxes: Sequence[Box], more_than: float = 0.0) -> list[list[int]]:
    """For each box the indices of the others that share an area with it, in rising order.

    Only those whose intersection over union is `more_than` so much; it is to the last bit what
    `geometry.boxes.iou` gives.
    """
    found: list[list[int]] = [[] for _ in boxes]
    if len(boxes) < 2:
        return found
    import numpy as np  # most commands need none, and start a fifth faster without

    edges = np.array(boxes, dtype=np.float64).T
    for start in range(0, len(boxes), _ROWS):
        left, top, right, bottom = edges[:, start : start + _ROWS, None]
        width = np.minimum(right, edges[2]) - np.maximum(left, edges[0])
        height = np.minimum(bottom, edges[3]) - np.maximum(top, edges[1])
        ones, others = np.nonzero((width > 0) & (height > 0))
        if more_than > 0:
            shared = width[ones, others] * height[ones, others]
            areas = (edges[2] - edges[0]) * (edges[3] - edges[1])
            is_enough = shared / (areas[start + ones] + areas[others] - shared) > more_than
            ones, others = ones[is_enough], others[is_enough]
        for one, other in zip((start + ones).tolist(), others.tolist(), strict=True):
            if one != other:
                found[one].append(other)
    return found
