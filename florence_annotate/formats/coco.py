"""COCO: `annotations/instances_<split>.json`.

Format: https://cocodataset.org/#format-data. Boxes are x, y, width, height in pixels; ids of
images, annotations and categories count from 1. Beyond the format, an annotation carries its
`score`, and an image its `key` in the job. No clock is asked: the same job gives the same bytes.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import IO, Any

from florence_annotate.errors import UsageError
from florence_annotate.formats.entries import Entry, Export, dump_json
from florence_annotate.geometry.polygons import encode_mask, mask_area, polygon_area
from florence_annotate.types import KeptInstance
from florence_annotate.version import __version__


def write(export: Export) -> None:
    def rows(entry: Entry) -> Iterator[dict[str, Any]]:
        size = entry.image.width, entry.image.height
        return (_annotation(instance, size) for instance in entry.image.instances)

    write_document(export, "instances", rows, export.dataset.class_names)


Rows = Callable[[Entry], Iterator[dict[str, Any]]]
"""The annotations of a picture, without their own and its id."""


def write_document(
    export: Export, name: str, rows: Rows, class_names: Sequence[str] | None
) -> None:
    """`annotations/<name>_<split>.json` for each split, with the same ids of pictures in all."""
    with ExitStack() as stack:
        writers: dict[str, _SplitWriter] = {}
        for split in export.dataset.split_names:
            path = stack.enter_context(export.staging.file(f"annotations/{name}_{split}.json"))
            file = stack.enter_context(path.open("w", encoding="utf-8", newline="\n"))
            spool = stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8", newline=""))
            writers[split] = _SplitWriter(file, spool, class_names)
        for entry in export:
            writers[entry.split].add(entry, rows(entry))
        for writer in writers.values():
            writer.finish()


class _SplitWriter:
    """One file. Images are written as they come; annotations wait in `spool`, not in memory."""

    def __init__(self, file: IO[str], spool: IO[str], class_names: Sequence[str] | None) -> None:
        """Without class names the file has no categories."""
        self._file = file
        self._spool = spool
        self._images = 0
        self._annotations = 0
        file.write(f'{{"info": {dump_json(_info())},\n"licenses": [],\n')
        if class_names is not None:
            categories = [
                {"id": class_id, "name": name, "supercategory": ""}
                for class_id, name in enumerate(class_names, start=1)
            ]
            file.write(f'"categories": {dump_json(categories)},\n')
        file.write('"images": [')

    def add(self, entry: Entry, rows: Iterator[dict[str, Any]]) -> None:
        self._images += 1
        image = {
            "id": self._images,
            "file_name": entry.name,
            "width": entry.image.width,
            "height": entry.image.height,
            "key": entry.image.ref.key,
        }
        self._file.write(("" if self._images == 1 else ",") + "\n" + dump_json(image))
        for row in rows:
            self._annotations += 1
            annotation = {"id": self._annotations, "image_id": self._images, **row}
            begin = "\n" if self._annotations == 1 else ",\n"
            self._spool.write(begin + dump_json(annotation))

    def finish(self) -> None:
        self._file.write('\n],\n"annotations": [')
        self._spool.seek(0)
        shutil.copyfileobj(self._spool, self._file)
        self._file.write("\n]}\n")


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


def _annotation(instance: KeptInstance, size: tuple[int, int]) -> dict[str, Any]:
    segmentation, area = segment(instance, size)
    row = {
        "category_id": instance.class_id + 1,
        "bbox": box_row(instance),
        "area": round(area, 4),
        "segmentation": segmentation,
        "iscrowd": 0,
        "score": round(instance.score, 4),
    }
    if instance.text is not None:
        row["text"] = instance.text
    return row


def box_row(instance: KeptInstance) -> list[float]:
    """x, y, width, height."""
    x1, y1, x2, y2 = instance.box
    return [round(value, 4) for value in (x1, y1, x2 - x1, y2 - y1)]


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
