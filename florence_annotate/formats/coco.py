"""COCO: `annotations/instances_<split>.json`.

Format: https://cocodataset.org/#format-data. Boxes are x, y, width, height in pixels; ids of
images, annotations and categories count from 1. Beyond the format, an annotation carries its
`score`, and an image its `key` in the job. No clock is asked: the same job gives the same bytes.
"""

import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import IO, Any

import florence_annotate
from florence_annotate.errors import UsageError
from florence_annotate.formats.export import Entry, Export, dump_json
from florence_annotate.types import Instance, Polygon


def write(export: Export) -> None:
    with ExitStack() as stack:
        writers: dict[str, _SplitWriter] = {}
        for split in export.dataset.split_names:
            path = stack.enter_context(export.staging.file(f"annotations/instances_{split}.json"))
            file = stack.enter_context(path.open("w", encoding="utf-8", newline="\n"))
            spool = stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8", newline=""))
            writers[split] = _SplitWriter(file, spool, export.dataset.class_names)
        for entry in export:
            writers[entry.split].add(entry)
        for writer in writers.values():
            writer.finish()


class _SplitWriter:
    """One file. Images are written as they come; annotations wait in `spool`, not in memory."""

    def __init__(self, file: IO[str], spool: IO[str], class_names: Sequence[str]) -> None:
        self._file = file
        self._spool = spool
        self._images = 0
        self._annotations = 0
        categories = [
            {"id": class_id, "name": name, "supercategory": ""}
            for class_id, name in enumerate(class_names, start=1)
        ]
        file.write(f'{{"info": {dump_json(_info())},\n"licenses": [],\n')
        file.write(f'"categories": {dump_json(categories)},\n"images": [')

    def add(self, entry: Entry) -> None:
        self._images += 1
        row = dump_json(_image(entry, self._images))
        self._file.write(("" if self._images == 1 else ",") + "\n" + row)
        for instance in entry.image.instances:
            self._annotations += 1
            row = dump_json(_annotation(instance, self._annotations, self._images))
            self._spool.write(("" if self._annotations == 1 else ",") + "\n" + row)

    def finish(self) -> None:
        self._file.write('\n],\n"annotations": [')
        self._spool.seek(0)
        shutil.copyfileobj(self._spool, self._file)
        self._file.write("\n]}\n")


def _info() -> dict[str, Any]:
    info = {
        "description": "annotated with Florence-2",
        "version": florence_annotate.__version__,
    }
    if epoch := os.environ.get("SOURCE_DATE_EPOCH"):
        try:
            info["date_created"] = datetime.fromtimestamp(int(epoch), UTC).isoformat()
        except (ValueError, OverflowError, OSError) as error:
            raise UsageError(f"SOURCE_DATE_EPOCH={epoch!r} is no number of seconds") from error
    return info


def _image(entry: Entry, image_id: int) -> dict[str, Any]:
    return {
        "id": image_id,
        "file_name": entry.name,
        "width": entry.image.width,
        "height": entry.image.height,
        "key": entry.image.ref.key,
    }


def _annotation(instance: Instance, annotation_id: int, image_id: int) -> dict[str, Any]:
    x1, y1, x2, y2 = instance.box
    width, height = x2 - x1, y2 - y1
    area = sum(_area(polygon) for polygon in instance.polygons) or width * height
    return {
        "id": annotation_id,
        "image_id": image_id,
        "category_id": (instance.class_id or 0) + 1,
        "bbox": [round(value, 4) for value in (x1, y1, width, height)],
        "area": round(area, 4),
        "segmentation": [
            [round(value, 4) for point in polygon for value in point]
            for polygon in instance.polygons
        ],
        "iscrowd": 0,
        "score": round(instance.score, 4),
    }


def _area(polygon: Polygon) -> float:
    """Shoelace formula."""
    following = (*polygon[1:], polygon[0])
    return (
        abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in zip(polygon, following, strict=True)))
        / 2
    )
