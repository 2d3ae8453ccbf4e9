"""A folder of pictures for the hub: `images/<split>/metadata.jsonl` beside the pictures.

Format: https://huggingface.co/docs/datasets/image_dataset#imagefolder; it is read by
`datasets.load_dataset("imagefolder", data_dir="OUT/images")`. Objects are columns of equal length;
boxes are x, y, width, height in float pixels. Outlines are left to the other formats.

The reader infers each split's types from its first lines. So no value is ever null, and numbers are
always written as fractions; but a split in which nothing at all was found has columns without a
type, which the reader refuses beside others: load it alone, or take parquet.
"""

from contextlib import ExitStack
from typing import IO, Any

from florence_annotate.formats import coco
from florence_annotate.formats.entries import Entry, Export, dump_json
from florence_annotate.formats.staging import METADATA_NAME


def write(export: Export) -> None:
    files: dict[str, IO[str]] = {}
    with ExitStack() as stack:
        for entry in export:
            if entry.split not in files:  # a file without a line would be refused
                path = export.staging.file(f"images/{entry.split}/{METADATA_NAME}")
                files[entry.split] = stack.enter_context(
                    stack.enter_context(path).open("w", encoding="utf-8", newline="\n")
                )
            files[entry.split].write(dump_json(_row(entry)) + "\n")


def _row(entry: Entry) -> dict[str, Any]:
    image = entry.image
    return {
        "file_name": entry.name,
        "width": image.width,
        "height": image.height,
        "objects": {
            "bbox": [[float(v) for v in coco.box_row(one)] for one in image.instances],
            "category": [one.class_id for one in image.instances],
            "label": [image.class_names[one.class_id] for one in image.instances],
            "score": [round(float(one.score), 4) for one in image.instances],
            "text": [one.text or "" for one in image.instances],
        },
        "captions": [caption.text for caption in image.captions],
    }
