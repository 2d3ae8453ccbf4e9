"""Boxes around several others of their class.

Asked for `wheels`, the model often answers with a box around both before it gives each. Such a box
is the hull of the others: they lie in it, and every edge of it is an edge of one of them. An object
that holds others of its class is no hull of theirs: something of it goes beyond them on a side, or
one of them is nearly as large as it is.
"""

from collections.abc import Sequence
from typing import Any

from florence_annotate.types import Box

_EDGE = 0.03
"""Part of a box's side within which an edge is the same as another's."""
_BINS = 1.5
"""The same in steps of locations, which are thousandths of the image, for small boxes."""
_LARGEST = 0.7
"""Part of a box that one within it may cover and still be one of several."""


def find_containers(boxes: Sequence[Box], width: int, height: int) -> dict[int, list[int]]:
    """Indices of the boxes that are the hull of several others, with the indices of those.

    Boxes are in pixels of the image, which is `width` by `height`.
    """
    if len(boxes) < 3:
        return {}
    import numpy as np  # most commands need none, and start a fifth faster without

    array = np.array(boxes, dtype=np.float64)
    areas = (array[:, 2:] - array[:, :2]).prod(axis=1)
    containers = {}
    for index in range(len(boxes)):
        beyond, near = _beyond(array, array[index], width, height)
        is_member = (beyond <= near).all(axis=1) & (areas <= _LARGEST * areas[index])
        is_member[index] = False
        members = np.flatnonzero(is_member)
        if len(members) >= 2 and (beyond[members].max(axis=0) >= -near).all():
            containers[index] = members.tolist()
    return containers


def find_within(box: Box, boxes: Any, width: int, height: int) -> list[int]:
    """Indices of the boxes that a box may be the hull of, whatever their sizes; itself, where it is
    one of them, too.

    `boxes` is a numpy array of float64, shape (boxes, 4).
    """
    import numpy as np

    beyond, near = _beyond(boxes, np.array(box, dtype=np.float64), width, height)
    found: list[int] = np.flatnonzero((beyond <= near).all(axis=1)).tolist()
    return found


def _beyond(boxes: Any, box: Any, width: int, height: int) -> tuple[Any, Any]:
    """How far each edge of some boxes, in rows, lies beyond that of one box, and how far it may."""
    import numpy as np

    step = np.array((width, height)) * _BINS / 1000
    near = np.tile(np.maximum(_EDGE * (box[2:] - box[:2]), step), 2)
    return (boxes - box) * (-1, -1, 1, 1), near
