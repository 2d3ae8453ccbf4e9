"""YOLO: `data.yaml`, and a label file beside each picture of `images/` in `labels/`.

Formats: https://docs.ultralytics.com/datasets/ (detect, segment, obb). All numbers of a row are
normalised to [0, 1] by the picture's width and height. An empty file says that nothing is there;
a picture that was not annotated has no file.
"""

from collections.abc import Callable
from pathlib import PurePosixPath

import yaml

from florence_annotate.formats.entries import Export
from florence_annotate.geometry.polygons import join_parts, oriented_box
from florence_annotate.types import Box, Instance, Polygon

SMALLEST_SIDE = 10
"""Pixels; ultralytics rejects smaller pictures as corrupt."""


def write(export: Export) -> None:
    """A row is `class cx cy w h`."""
    _write(export, lambda instance, size: _centred(instance.box, size))


def write_segments(export: Export) -> None:
    """A row is `class x1 y1 x2 y2 …`, an outline; parts of one object are joined into one.

    A box beside an outline would be read as an outline of two points, so instances without a mask
    are left out, and counted.
    """

    def row(instance: Instance, size: Size) -> str | None:
        if not instance.polygons:
            export.notes.without_mask += 1
            return None
        return _points(join_parts(instance.polygons), size)

    _write(export, row)


def write_oriented(export: Export) -> None:
    """A row is `class x1 y1 x2 y2 x3 y3 x4 y4`, the corners of a turned box."""
    _write(export, lambda instance, size: _points(oriented_box(instance), size))


Size = tuple[int, int]
"""Width and height in pixels."""


def _write(export: Export, row: Callable[[Instance, Size], str | None]) -> None:
    """Everything but what stands in a row after the class."""
    populated: set[str] = set()
    for entry in export:
        image = entry.image
        size = image.width, image.height
        if min(size) < SMALLEST_SIDE:
            reason = f"{image.width}x{image.height} pixels: YOLO readers want {SMALLEST_SIDE}"
            export.notes.yolo_left_out[image.ref.key] = reason
            continue
        populated.add(entry.split)
        rows = [(instance.class_id, row(instance, size)) for instance in image.instances]
        lines = [f"{class_id} {place}\n" for class_id, place in rows if place is not None]
        label = PurePosixPath(entry.name).with_suffix(".txt")
        # readers take a row that comes twice for an error; boxes may be equal after rounding
        export.staging.write_text(f"labels/{entry.split}/{label}", "".join(dict.fromkeys(lines)))
    export.staging.write_text("data.yaml", _describe(export, populated))


def _centred(box: Box, size: Size) -> str:
    (x1, y1, x2, y2), (width, height) = box, size
    centre_x, centre_y = (x1 + x2) / 2 / width, (y1 + y2) / 2 / height
    return f"{centre_x:.6f} {centre_y:.6f} {(x2 - x1) / width:.6f} {(y2 - y1) / height:.6f}"


def _points(polygon: Polygon, size: Size) -> str:
    """Points within [0, 1]: a turned box may reach over the picture's edge."""
    width, height = size
    inside = ((min(max(x / width, 0), 1), min(max(y / height, 0), 1)) for x, y in polygon)
    return " ".join(f"{x:.6f} {y:.6f}" for x, y in inside)


def _describe(export: Export, populated: set[str]) -> str:
    """`data.yaml`. Readers need a `val` with pictures: where there is none, it points at train."""
    content: dict[str, object] = {}
    for split in dict.fromkeys(["train", "val", *export.dataset.split_names]):
        source = split
        if split not in populated:
            source = "train"
            if split != "train":
                export.notes.empty_splits.append(split)
        content[split] = f"images/{source}"
    content["names"] = dict(enumerate(export.dataset.class_names))
    return yaml.safe_dump(content, allow_unicode=True, sort_keys=False, width=4096)
