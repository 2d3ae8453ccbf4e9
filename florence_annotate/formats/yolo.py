"""YOLO: `data.yaml`, and a label file beside each picture of `images/` in `labels/`.

Format: https://docs.ultralytics.com/datasets/detect/. A row is `class cx cy w h`, normalised to
[0, 1] by the picture's width and height. An empty file says that nothing is there; a picture that
was not annotated has no file.
"""

from pathlib import PurePosixPath

import yaml

from florence_annotate.formats.export import Export
from florence_annotate.types import Box

SMALLEST_SIDE = 10
"""Pixels; ultralytics rejects smaller pictures as corrupt."""


def write(export: Export) -> None:
    populated: set[str] = set()
    for entry in export:
        image = entry.image
        if min(image.width, image.height) < SMALLEST_SIDE:
            reason = f"{image.width}x{image.height} pixels: YOLO readers want {SMALLEST_SIDE}"
            export.notes.yolo_left_out[image.ref.key] = reason
            continue
        populated.add(entry.split)
        rows = [
            f"{instance.class_id} {_normalise(instance.box, image.width, image.height)}\n"
            for instance in image.instances
        ]
        label = PurePosixPath(entry.name).with_suffix(".txt")
        # readers take a row that comes twice for an error; boxes may be equal after rounding
        export.staging.write_text(f"labels/{entry.split}/{label}", "".join(dict.fromkeys(rows)))
    export.staging.write_text("data.yaml", _describe(export, populated))


def _normalise(box: Box, width: int, height: int) -> str:
    x1, y1, x2, y2 = box
    centre_x, centre_y = (x1 + x2) / 2 / width, (y1 + y2) / 2 / height
    return f"{centre_x:.6f} {centre_y:.6f} {(x2 - x1) / width:.6f} {(y2 - y1) / height:.6f}"


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
