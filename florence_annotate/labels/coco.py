"""Labels in a COCO file: https://cocodataset.org/#format-data, "Object Detection"."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from florence_annotate.labels.given import (
    GivenImage,
    GivenLabels,
    GivenObject,
    Outline,
    Region,
    class_name,
)
from florence_annotate.user_files import LARGE, parse_json, read_text


def read_coco(file: Path, *, with_masks: bool = False) -> GivenLabels:
    """What a COCO file says; masks are left out where nobody asks for them.

    Raises UnreadableFileError, ValueError, KeyError or TypeError for what is none.
    """
    content = parse_json(read_text(file, LARGE))
    if not isinstance(content, dict):
        raise ValueError("it holds no images, annotations and categories")
    labels: dict[Any, str] = {}
    for one in content.get("categories", ()):
        if one["id"] in labels:
            raise ValueError(f"two categories have the id {one['id']!r}")
        labels[one["id"]] = one["name"]
    objects: dict[Any, list[GivenObject]] = {}
    for image in content["images"]:
        if image["id"] in objects:
            raise ValueError(f"two images have the id {image['id']!r}")
        objects[image["id"]] = []
    annotations = content["annotations"]
    annotations.reverse()
    while annotations:  # each is let go once it is read: there may be millions
        one = annotations.pop()
        try:
            image = one["image_id"]
            if image not in objects:
                raise ValueError(f"it is about image {image!r}, which is not in images")
            objects[image].append(_object(one, labels, with_masks=with_masks))
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            why = f"it has no {error}" if isinstance(error, KeyError) else error
            which = one.get("id") if isinstance(one, dict) else one
            raise ValueError(f"annotation {str(which)[:80]}: {why}") from error
    images = [_image(one, objects.pop(one["id"])) for one in content["images"]]
    return GivenLabels(file, tuple(images), tuple(map(str, labels.values())), True)


def _image(image: Mapping[str, Any], objects: list[GivenObject]) -> GivenImage:
    width, height, key = image.get("width"), image.get("height"), image.get("key")
    has_size = isinstance(width, int) and isinstance(height, int)
    size = (width, height) if has_size else None
    return GivenImage(
        str(image["file_name"]),
        tuple(objects),
        size,  # type: ignore[arg-type] # both are whole numbers
        key if isinstance(key, str) else None,
    )


def _object(
    annotation: Mapping[str, Any], labels: Mapping[Any, str], *, with_masks: bool
) -> GivenObject:
    x, y, width, height = _sides(annotation["bbox"])
    category, area = annotation.get("category_id"), annotation.get("area")
    label = None if category is None else class_name(labels, category)
    said = isinstance(area, int | float) and math.isfinite(area) and area >= 0
    return GivenObject(
        Region.of((x, y, x + width, y + height), label),
        bool(annotation.get("iscrowd")),
        float(area) if said else None,  # type: ignore[arg-type] # a number, as it was said
        _mask(annotation.get("segmentation")) if with_masks else None,
    )


def _sides(said: Any) -> tuple[float, float, float, float]:
    try:
        x, y, width, height = map(float, said)
    except (ValueError, TypeError) as error:
        raise ValueError(f"bbox {str(said)[:80]} is not x, y, width and height") from error
    return x, y, width, height


def _mask(said: Any) -> Outline | Mapping[str, Any] | None:
    if isinstance(said, dict):
        height, width = map(int, said["size"])
        counts = said["counts"]
        if isinstance(counts, list):
            runs = list(map(int, counts))
            if min(runs, default=0) < 0 or sum(runs) != height * width:
                raise ValueError(f"run lengths of a mask do not fill its {width}x{height} pixels")
            return {"size": [height, width], "counts": runs}
        if not isinstance(counts, str) or not counts.isascii():
            raise ValueError("run lengths of a mask are neither numbers nor text")
        return {"size": [height, width], "counts": counts}
    return tuple(_part(part) for part in said) or None if said else None


def _part(said: Any) -> tuple[float, ...]:
    part = tuple(map(float, said))
    if len(part) < 6 or len(part) % 2 or not all(map(math.isfinite, part)):
        raise ValueError(f"{list(part)[:8]} is no outline: three points or more are")
    return part
