"""Rendered pictures under `visuals/`: boxes, class names and scores, drawn by supervision."""

import os
from itertools import islice
from pathlib import PurePosixPath

import numpy as np
import supervision as sv
from PIL import Image

from florence_annotate import images
from florence_annotate.formats.export import Entry, Export


def write(export: Export) -> None:
    """The first `visuals_limit` pictures, in key order, as JPEG under their export names."""
    for entry in islice(iter(export), export.visuals_limit):
        name = PurePosixPath(entry.name).with_suffix(".jpg")
        export.staging.write_bytes(f"visuals/{entry.split}/{name}", _render(entry))


def _render(entry: Entry) -> bytes:
    image = entry.image
    picture = images.decode(
        images.read_bytes(os.fsencode(entry.original)), image.width * image.height
    )
    detections = image.to_supervision()
    if len(detections):
        size = (image.width, image.height)
        thickness = sv.calculate_optimal_line_thickness(resolution_wh=size)
        boxes = sv.BoxAnnotator(thickness=thickness)
        # unlike LabelAnnotator, this one has letters beyond ASCII (Pillow's own font: no CJK)
        labels = sv.RichLabelAnnotator(
            font_size=_font_size(image.height), text_color=sv.Color.BLACK, smart_position=True
        )
        texts = [
            f"{image.class_names[instance.class_id or 0]} {instance.score:.2f}"
            for instance in image.instances
        ]
        bgr = np.ascontiguousarray(np.asarray(picture)[:, :, ::-1])
        bgr = boxes.annotate(bgr, detections)
        bgr = labels.annotate(bgr, detections, labels=texts)
        picture = Image.fromarray(np.ascontiguousarray(bgr[:, :, ::-1]))
    return images.encode(picture, ".jpg")


def _font_size(height: int) -> int:
    return max(10, min(48, height // 32))
