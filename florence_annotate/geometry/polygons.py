"""Outlines of instances: areas, joined parts, turned boxes, masks.

A polygon is a tuple of x, y points in pixels; its last point is joined to its first.
"""

from collections.abc import Sequence
from typing import Any

from florence_annotate.types import Instance, Polygon


def polygon_area(polygon: Polygon) -> float:
    """The area of a polygon in square pixels, by the shoelace formula."""
    following = (*polygon[1:], polygon[0])
    return (
        abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in zip(polygon, following, strict=True)))
        / 2
    )


def join_parts(polygons: Sequence[Polygon]) -> Polygon:
    """One outline that holds all parts of a mask, of which there is at least one.

    Each part is joined to those before it by a line to and from the nearest point. That line has
    no width, so the area stays the sum of the parts.
    """
    import numpy as np

    joined, *others = polygons
    for other in others:
        distances = np.linalg.norm(np.array(joined)[:, None] - np.array(other)[None], axis=2)
        here, there = np.unravel_index(distances.argmin(), distances.shape)
        around = (*other[there:], *other[: there + 1])
        joined = (*joined[: here + 1], *around, *joined[here:])
    return joined


def outline_of(instance: Instance) -> Polygon:
    """The one outline of an instance, for formats that store one for each object.

    For a mask its parts joined, for printed text its four corners; empty for a plain box.
    """
    return join_parts(instance.polygons) if instance.polygons else instance.quad


def simplified(polygon: Polygon, tolerance: float) -> Polygon:
    """The outline in fewer points, none of which it passes by more than so many pixels (Douglas and
    Peucker's algorithm)."""
    import cv2
    import numpy as np

    points = np.array(polygon, np.float32).reshape(-1, 1, 2)
    kept = cv2.approxPolyDP(points, tolerance, True).reshape(-1, 2)
    return tuple((float(x), float(y)) for x, y in kept)


def oriented_box(instance: Instance) -> Polygon:
    """The four corners of a box that may be turned.

    For printed text its own corners, for a mask the smallest turned box around it, otherwise the
    corners of the box, clockwise from its upper left.
    """
    if len(instance.quad) == 4:
        return instance.quad
    if instance.polygons:
        import cv2
        import numpy as np

        points = np.array([point for polygon in instance.polygons for point in polygon], np.float32)
        return tuple((float(x), float(y)) for x, y in cv2.boxPoints(cv2.minAreaRect(points)))
    x1, y1, x2, y2 = instance.box
    return (x1, y1), (x2, y1), (x2, y2), (x1, y2)


def to_mask(polygons: Sequence[Polygon], width: int, height: int) -> Any:
    """The pixels that an odd number of polygons surrounds: one within another is a hole in it.

    Returns a numpy array of bool, shape (height, width).
    """
    import numpy as np

    mask = np.zeros((height, width), dtype=bool)
    left, top, part = to_part_of_mask(polygons, width, height)
    mask[top : top + part.shape[0], left : left + part.shape[1]] = part
    return mask


def to_part_of_mask(polygons: Sequence[Polygon], width: int, height: int) -> tuple[int, int, Any]:
    """The smallest part of `to_mask` that holds all that is true in it, so that a small mask of a
    large image takes little: its left and its top in pixels, and the mask from there on."""
    import numpy as np
    import supervision as sv

    outlines = [np.rint(np.array(polygon)).astype(int) for polygon in polygons]
    if not outlines:
        return 0, 0, np.zeros((0, 0), dtype=bool)
    points = np.concatenate(outlines)
    first = np.clip(points.min(axis=0), 0, (width, height))
    size = np.clip(points.max(axis=0) + 1, first, (width, height)) - first
    part = np.zeros(size[::-1], dtype=bool)
    for outline in outlines if part.size else ():
        part ^= sv.polygon_to_mask(outline - first, tuple(size.tolist())).astype(bool)
    return int(first[0]), int(first[1]), part


def union_of(masks: Sequence[Sequence[Polygon]]) -> tuple[Polygon, ...]:
    """The outlines of all that at least one of the masks covers, holes included.

    Each mask is a list of polygons as `to_mask` takes them. Outlines run through whole pixels.
    """
    import numpy as np
    import supervision as sv

    points = np.array([point for mask in masks for polygon in mask for point in polygon])
    origin = np.floor(points.min(axis=0))
    width, height = (np.ceil(points.max(axis=0)) - origin + 1).astype(int)

    def moved(polygon: Polygon, by: Any) -> Polygon:
        return tuple((float(x + by[0]), float(y + by[1])) for x, y in polygon)

    covered = np.zeros((height, width), dtype=bool)
    for mask in masks:
        covered |= to_mask([moved(polygon, -origin) for polygon in mask], width, height)
    found = sv.mask_to_polygons(covered)
    return tuple(moved(polygon, origin) for polygon in found if len(polygon) >= 3)


def encode_mask(polygons: Sequence[Polygon], width: int, height: int) -> dict[str, Any]:
    """`to_mask` in COCO's compressed run lengths: `size`, [height, width], and `counts`."""
    import numpy as np
    from pycocotools import mask

    encoded = mask.encode(np.asfortranarray(to_mask(polygons, width, height), np.uint8))
    return {"size": [height, width], "counts": encoded["counts"].decode("ascii")}


def mask_area(encoded: dict[str, Any]) -> float:
    """The number of pixels of a mask from `encode_mask`."""
    from pycocotools import mask

    return float(mask.area(encoded))
