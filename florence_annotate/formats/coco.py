"""COCO: `annotations/instances_<split>.json`.

Format: https://cocodataset.org/#format-data. Boxes are x, y, width, height in pixels; ids of
images, annotations and categories count from 1, over all splits. An image keeps its id from its
first export on, an annotation does not. Beyond the format, an annotation carries its `score`, and
an image its `key` in the job. No clock is asked: the same job gives the same bytes.
"""

import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any, BinaryIO

from florence_annotate.dataset.dataset import Dataset
from florence_annotate.errors import UsageError
from florence_annotate.formats.entries import Entry, Export, dump_json
from florence_annotate.formats.staging import StagedFile
from florence_annotate.geometry.polygons import encode_mask, mask_area, polygon_area
from florence_annotate.types import KeptInstance
from florence_annotate.version import __version__

_BUFFER = 1 << 18
"""Characters of annotations that wait in memory."""


class CocoWriter:
    """The boxes and outlines."""

    def __init__(self, export: Export) -> None:
        self._documents = Documents(export, "instances")

    def begin(self, dataset: Dataset) -> None:
        self._documents.begin(dataset.split_names, dataset.class_names)

    def add(self, entry: Entry) -> None:
        size = entry.image.width, entry.image.height
        instances = zip(entry.image.instances, entry.box_rows, entry.scores, strict=True)
        self._documents.add(entry, [_annotation(*instance, size) for instance in instances])

    def finish(self) -> None:
        self._documents.finish()


class Documents:
    """`annotations/<name>_<split>.json` for each split; the ids of images are the same under every
    name."""

    def __init__(self, export: Export, name: str) -> None:
        self._staging = export.staging
        self._name = name
        self._by_split: dict[str, _Document] = {}
        self._annotations = count(1)

    def begin(self, splits: Iterable[str], class_names: Sequence[str] | None) -> None:
        """Without class names the files have no categories."""
        for split in splits:
            file = self._staging.open(f"annotations/{self._name}_{split}.json")
            self._by_split[split] = _Document(file, self._staging.scratch(), class_names)

    def add(self, entry: Entry, annotations: Iterable[str]) -> None:
        """An image, and its annotations: what stands in the JSON object of each behind its own id
        and the image's."""
        rows = [
            f'{{"id": {next(self._annotations)}, "image_id": {entry.number}, {values}}}'
            for values in annotations
        ]
        self._by_split[entry.split].add(entry, rows)

    def finish(self) -> None:
        for document in self._by_split.values():
            document.finish()


class _Document:
    """One file. Images are written as they come; annotations wait in another file till the end."""

    def __init__(
        self, file: StagedFile, spool: BinaryIO, class_names: Sequence[str] | None
    ) -> None:
        self._file = file
        self._waiting: list[str] = []
        self._waits = 0
        self._spool = spool
        self._has_images = False
        self._has_annotations = False
        file.write_text(f'{{"info": {dump_json(_info())},\n"licenses": [],\n')
        if class_names is not None:
            categories = [
                {"id": class_id, "name": name, "supercategory": ""}
                for class_id, name in enumerate(class_names, start=1)
            ]
            file.write_text(f'"categories": {dump_json(categories)},\n')
        file.write_text('"images": [')

    def add(self, entry: Entry, annotations: Iterable[str]) -> None:
        """An image, and its annotations as JSON."""
        image = {
            "id": entry.number,
            "file_name": entry.name,
            "width": entry.image.width,
            "height": entry.image.height,
            "key": entry.image.ref.key,
        }
        self._file.write_text((",\n" if self._has_images else "\n") + dump_json(image))
        self._has_images = True
        for annotation in annotations:
            self._wait((",\n" if self._has_annotations else "\n") + annotation)
            self._has_annotations = True

    def _wait(self, text: str) -> None:
        self._waiting.append(text)
        self._waits += len(text)
        if self._waits >= _BUFFER:
            self._spool.write("".join(self._waiting).encode("utf-8"))
            self._waiting, self._waits = [], 0

    def finish(self) -> None:
        self._file.write_text('\n],\n"annotations": [')
        self._spool.seek(0)
        while data := self._spool.read(_BUFFER):
            self._file.write(data)
        self._file.write_text("".join(self._waiting) + "\n]}\n")
        self._file.close()


def _info() -> dict[str, Any]:
    info = {
        "description": "annotated with Florence-2",
        "version": __version__,
    }
    if epoch := os.environ.get("SOURCE_DATE_EPOCH"):
        try:
            info["date_created"] = datetime.fromtimestamp(int(epoch), UTC).isoformat()
        except (ValueError, OverflowError, OSError) as error:
            raise UsageError(f"SOURCE_DATE_EPOCH={epoch!r} is no number of seconds") from error
    return info


def _annotation(
    instance: KeptInstance, box_row: list[float], score: float, size: tuple[int, int]
) -> str:
    """What stands in an annotation's JSON object, as `dump_json` has it in twice the time."""
    outline, area = segment(instance, size)
    segmentation = dump_json(outline) if outline else "[]"
    text = "" if instance.text is None else f', "text": {dump_json(instance.text)}'
    return (
        f'"category_id": {instance.class_id + 1}, "bbox": {box_row}, "area": {round(area, 4)}, '
        f'"segmentation": {segmentation}, "iscrowd": 0, "score": {score}{text}'
    )


def segment(
    instance: KeptInstance, size: tuple[int, int]
) -> tuple[list[list[float]] | dict[str, Any], float]:
    """The outline of an instance as COCO spells it, and its area in square pixels.

    One outline is a polygon; several, which may be parts or holes, are run lengths; the four points
    around printed text are a polygon too. Without any it is empty, and the area is that of the box.
    """
    polygons = instance.polygons or ((instance.quad,) if instance.quad else ())
    if len(polygons) > 1:
        encoded = encode_mask(polygons, *size)
        return encoded, mask_area(encoded)
    if polygons:
        flat = [round(value, 4) for point in polygons[0] for value in point]
        return [flat], polygon_area(polygons[0])
    x1, y1, x2, y2 = instance.box
    return [], (x2 - x1) * (y2 - y1)
