"""Boxes around several others of their class.

Asked for `wheels`, the model often answers with a box around both before it gives each. Such a box
is the hull of the others: they lie in it, and every edge of it is an edge of one of them. An object
that holds others of its class is no hull of theirs: something of it goes beyond them on a side, or
one of them is nearly as large as it is.
"""

from collections.abc import Sequence

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
    sizes = array[:, 2:] - array[:, :2]
    areas = sizes.prod(axis=1)
    step = np.array((width, height)) * _BINS / 1000
    containers = {}
    for index in range(len(boxes)):
        near = np.tile(np.maximum(_EDGE * sizes[index], step), 2)
        beyond = (array - array[index]) * (-1, -1, 1, 1)
        is_member = (beyond <= near).all(axis=1) & (areas <= _LARGEST * areas[index])
        is_member[index] = False
        members = np.flatnonzero(is_member)
        if len(members) >= 2 and (beyond[members].max(axis=0) >= -near).all():
            containers[index] = members.tolist()
    return containers
