"""COCO results: `annotations/results_<split>.json`, what pycocotools' `loadRes` takes.

Format: https://cocodataset.org/#format-results. Ids of pictures and categories are those of
`instances_<split>.json`.
"""

from collections import Counter
from contextlib import ExitStack
from typing import Any

from florence_annotate.formats import coco
from florence_annotate.formats.entries import Export, dump_json
from florence_annotate.geometry.polygons import encode_mask
from florence_annotate.types import KeptInstance


def write(export: Export) -> None:
    images: Counter[str] = Counter()
    rows: Counter[str] = Counter()
    with ExitStack() as stack:
        files = {}
        for split in export.dataset.split_names:
            path = stack.enter_context(export.staging.file(f"annotations/results_{split}.json"))
            files[split] = stack.enter_context(path.open("w", encoding="utf-8", newline="\n"))
            files[split].write("[")
        for entry in export:
            images[entry.split] += 1
            size = entry.image.width, entry.image.height
            for instance in entry.image.instances:
                result = dump_json(_result(instance, images[entry.split], size))
                files[entry.split].write(("," if rows[entry.split] else "") + "\n" + result)
                rows[entry.split] += 1
        for file in files.values():
            file.write("\n]\n")


def _result(instance: KeptInstance, image_id: int, size: tuple[int, int]) -> dict[str, Any]:
    result: dict[str, Any] = {
        "image_id": image_id,
        "category_id": instance.class_id + 1,
        "bbox": coco.box_row(instance),
        "score": round(instance.score, 4),
    }
    if instance.polygons:
        # results have run lengths where the dataset has polygons
        result["segmentation"] = encode_mask(instance.polygons, *size)
    return result
