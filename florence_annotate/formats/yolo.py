"""YOLO: `data.yaml`, and a label file beside each image of `images/` in `labels/`.

Formats: https://docs.ultralytics.com/datasets/ (detect, segment, obb). All numbers of a row are
normalised to [0, 1] by the image's width and height. An empty file says that nothing is there;
an image that was not annotated has no file.
"""

import yaml

from florence_annotate.dataset.dataset import Dataset
from florence_annotate.formats.entries import Entry, Export
from florence_annotate.geometry.polygons import join_parts, oriented_box
from florence_annotate.types import Box, Instance, Polygon

SMALLEST_SIDE = 10
"""Pixels; ultralytics rejects smaller images as corrupt."""

Size = tuple[int, int]
"""Width and height in pixels."""


class YoloWriter:
    """A row is `class cx cy w h`."""

    def __init__(self, export: Export) -> None:
        self._staging, self._notes = export.staging, export.notes
        self._populated: set[str] = set()
        """Splits with an image."""
        self._has_images = export.spec.images != "none"

    def begin(self, dataset: Dataset) -> None:
        self._split_names, self._class_names = dataset.split_names, dataset.class_names

    def row(self, instance: Instance, size: Size) -> str | None:
        """What stands in a row after the class; None where the instance has none."""
        return _centred(instance.box, size)

    def add(self, entry: Entry) -> None:
        image = entry.image
        size = image.width, image.height
        if min(size) < SMALLEST_SIDE:
            reason = f"{image.width}x{image.height} pixels: YOLO readers want {SMALLEST_SIDE}"
            self._notes.yolo_left_out[image.ref.key] = reason
            return
        self._populated.add(entry.split)
        rows = [(instance.class_id, self.row(instance, size)) for instance in image.instances]
        lines = [f"{class_id} {values}\n" for class_id, values in rows if values is not None]
        # readers take a row that comes twice for an error; boxes may be equal after rounding
        content = "".join(dict.fromkeys(lines))
        self._staging.write_text(f"labels/{entry.split}/{entry.stem}.txt", content)

    def finish(self) -> None:
        self._staging.write_text("data.yaml", self._describe())

    def _describe(self) -> str:
        """`data.yaml`, which names folders that are there alone.

        Readers need a `train` and a `val`: one without images is the first split that has some.
        """
        content: dict[str, object] = {}
        splits = list(dict.fromkeys(["train", "val", *self._split_names]))
        populated = [split for split in splits if split in self._populated and self._has_images]
        for split in splits:
            if split not in self._populated:
                self._notes.empty_splits.append(split)
            if populated:
                source = split if split in populated else populated[0]
                content[split] = f"images/{source}"
        content["names"] = dict(enumerate(self._class_names))
        return yaml.safe_dump(content, allow_unicode=True, sort_keys=False, width=4096)


class YoloSegmentWriter(YoloWriter):
    """A row is `class x1 y1 x2 y2 …`, an outline; parts of one object are joined into one.

    A box beside an outline would be read as an outline of two points, so instances without a mask
    are left out, and counted.
    """

    def row(self, instance: Instance, size: Size) -> str | None:
        if not instance.polygons:
            self._notes.without_mask += 1
            return None
        return _points(join_parts(instance.polygons), size)


class YoloOrientedWriter(YoloWriter):
    """A row is `class x1 y1 x2 y2 x3 y3 x4 y4`, the corners of a turned box."""

    def row(self, instance: Instance, size: Size) -> str | None:
        return _points(oriented_box(instance), size)


def _centred(box: Box, size: Size) -> str:
    (x1, y1, x2, y2), (width, height) = box, size
    centre_x, centre_y = (x1 + x2) / 2 / width, (y1 + y2) / 2 / height
    return f"{centre_x:.6f} {centre_y:.6f} {(x2 - x1) / width:.6f} {(y2 - y1) / height:.6f}"


def _points(polygon: Polygon, size: Size) -> str:
    """Points within [0, 1]: a turned box may reach over the image's edge."""
    width, height = size
    inside = ((min(max(x / width, 0), 1), min(max(y / height, 0), 1)) for x, y in polygon)
    return " ".join(f"{x:.6f} {y:.6f}" for x, y in inside)
