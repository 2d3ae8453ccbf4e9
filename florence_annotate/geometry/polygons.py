"""Outlines of instances: areas, joined parts, turned boxes, masks."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from florence_annotate.types import Instance, Polygon


def polygon_area(polygon: Polygon) -> float:
    """Shoelace formula; in square pixels."""
    following = (*polygon[1:], polygon[0])
    return (
        abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in zip(polygon, following, strict=True)))
        / 2
    )


def join_parts(polygons: Sequence[Polygon]) -> Polygon:
    """One outline around all parts: each is entered and left at its point nearest to the others.

    The way there and back has no width, so that the area stays the sum of the parts.
    """
    joined, *others = polygons
    for other in others:
        distances = np.linalg.norm(np.array(joined)[:, None] - np.array(other)[None], axis=2)
        here, there = np.unravel_index(distances.argmin(), distances.shape)
        around = (*other[there:], *other[: there + 1])
        joined = (*joined[: here + 1], *around, *joined[here:])
    return joined


def outline_of(instance: Instance) -> Polygon:
    """One outline for formats that have one an object: of a mask with its parts joined, or around
    printed text; empty for a box."""
    return join_parts(instance.polygons) if instance.polygons else instance.quad


def oriented_box(instance: Instance) -> Polygon:
    """Four corners: of printed text its own, of a mask the smallest box around, else the box's."""
    if len(instance.quad) == 4:
        return instance.quad
    if instance.polygons:
        import cv2

        points = np.array([point for polygon in instance.polygons for point in polygon], np.float32)
        return tuple((float(x), float(y)) for x, y in cv2.boxPoints(cv2.minAreaRect(points)))
    x1, y1, x2, y2 = instance.box
    return (x1, y1), (x2, y1), (x2, y2), (x1, y2)


def to_mask(polygons: Sequence[Polygon], width: int, height: int) -> Any:
    """What an odd number of outlines surrounds, so that one within another is a hole in it.

    Bool, shape (height, width).
    """
    import supervision as sv

    mask = np.zeros((height, width), dtype=bool)
    for polygon in polygons:
        points = np.rint(np.array(polygon)).astype(int)
        mask ^= sv.polygon_to_mask(points, (width, height)).astype(bool)
    return mask


def union_of(masks: Sequence[Sequence[Polygon]]) -> tuple[Polygon, ...]:
    """The outlines of what any of some masks covers, holes included, to the pixel."""
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
    """Run lengths of `to_mask`, as COCO spells them."""
    from pycocotools import mask

    encoded = mask.encode(np.asfortranarray(to_mask(polygons, width, height), np.uint8))
    return {"size": [height, width], "counts": encoded["counts"].decode("ascii")}


def mask_area(encoded: dict[str, Any]) -> float:
    """Pixels of a mask."""
    from pycocotools import mask

    return float(mask.area(encoded))
