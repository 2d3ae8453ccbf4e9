"""Ground truth as people have it, in a file of COCO."""

from collections.abc import Mapping, Sequence
from typing import Any


def truth_of(
    objects: Mapping[str, Sequence[tuple[str, Sequence[float]]]],
    names: Sequence[str] = ("car", "dog"),
    **others: Any,
) -> dict[str, Any]:
    """A COCO file: name → class and x1, y1, x2, y2 of each object."""
    images = [{"id": number, "file_name": name} for number, name in enumerate(objects, 1)]
    rows = [
        {"image_id": n, "category_id": names.index(name) + 1, "bbox": [a, b, c - a, d - b]}
        for n, boxes in enumerate(objects.values(), 1)
        for name, (a, b, c, d) in boxes
    ]
    for number, row in enumerate(rows, 1):
        row |= {"id": number, "iscrowd": 0, **others}
    categories = [{"id": number, "name": name} for number, name in enumerate(names, 1)]
    return {"images": images, "annotations": rows, "categories": categories}
