"""COCO: `annotations/instances_<split>.json`.

Format: https://cocodataset.org/#format-data. Boxes are x, y, width, height in pixels; ids of
images, annotations and categories count from 1. Beyond the format, an annotation carries its
`score`, and an image its `key` in the job. No clock is asked: the same job gives the same bytes.
"""

import os
import tempfile
from datetime import UTC, datetime
from typing import IO, Any

import florence_annotate
from florence_annotate.formats.export import Entry, Export, dump_json
from florence_annotate.types import Instance, Polygon


def write(export: Export) -> None:
    for split in export.dataset.split_names:
        with (
            export.staging.file(f"annotations/instances_{split}.json") as path,
            path.open("w", encoding="utf-8", newline="\n") as file,
        ):
            _write_split(export, split, file)


def _write_split(export: Export, split: str, file: IO[str]) -> None:
    """Images are written as they are read; annotations wait in a temporary file, not in memory."""
    file.write(f'{{"info": {dump_json(_info())},\n"licenses": [],\n"categories": ')
    categories = [
        {"id": class_id, "name": name, "supercategory": ""}
        for class_id, name in enumerate(export.dataset.class_names, start=1)
    ]
    file.write(dump_json(categories) + ',\n"images": [')
    with tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n") as annotations:
        image_id = annotation_id = 0
        for entry in export:
            if entry.split != split:
                continue
            image_id += 1
            file.write(("" if image_id == 1 else ",") + "\n" + dump_json(_image(entry, image_id)))
            for instance in entry.image.instances:
                annotation_id += 1
                row = dump_json(_annotation(instance, annotation_id, image_id))
                annotations.write(("" if annotation_id == 1 else ",") + "\n" + row)
        file.write('\n],\n"annotations": [')
        annotations.seek(0)
        while block := annotations.read(1 << 20):
            file.write(block)
    file.write("\n]}\n")


def _info() -> dict[str, Any]:
    info = {
        "description": "annotated with Florence-2",
        "version": florence_annotate.__version__,
    }
    if epoch := os.environ.get("SOURCE_DATE_EPOCH"):
        info["date_created"] = datetime.fromtimestamp(int(epoch), UTC).isoformat()
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
