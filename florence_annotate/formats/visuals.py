"""Rendered images under `visuals/`, drawn by supervision: boxes, masks, turned boxes, with class
names, scores and texts; captions stand under the image."""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import supervision as sv
from PIL import Image, ImageDraw, ImageFont

from florence_annotate.dataset.annotated_image import AnnotatedImage
from florence_annotate.dataset.dataset import Dataset
from florence_annotate.formats.entries import Entry, Export
from florence_annotate.geometry.polygons import to_part_of_mask
from florence_annotate.images import codec
from florence_annotate.types import KeptInstance, Polygon

_LEGIBLE_SIDE = 240
"""Pixels; images whose longer side has fewer are enlarged, so that labels can be read."""
_OPACITY = 0.4
"""Of masks."""
_LONGEST_TEXT = 40
"""Characters of a label; the rest of a description is in the dataset."""

_MOST_SPREAD = 500
"""Labels that are moved off each other: supervision holds each to each, a hundred times."""


class VisualsWriter:
    """The first `visuals_limit` images, in key order, as JPEG under their export names."""

    def __init__(self, export: Export) -> None:
        self._staging = export.staging
        self._limit = export.spec.visuals_limit
        self._images = 0

    def begin(self, dataset: Dataset) -> None:
        pass

    def add(self, entry: Entry) -> None:
        if self._limit is None or self._images < self._limit:
            path = f"visuals/{entry.split}/{entry.stem}.jpg"
            self._staging.write_bytes(path, _render(entry))
            self._images += 1

    def finish(self) -> None:
        pass


def _render(entry: Entry) -> bytes:
    drawing = codec.decode(
        codec.read_bytes(os.fsencode(entry.original)), entry.image.width * entry.image.height
    )
    return codec.encode(draw(drawing, entry.image), ".jpg")


def draw(drawing: Image.Image, image: AnnotatedImage) -> Image.Image:
    """An image's pixels with what was found on it, its captions below; a small one is larger, so
    that labels can be read."""
    factor = -(-_LEGIBLE_SIDE // max(image.width, image.height))
    if factor > 1:
        image = _enlarge(image, factor)
        drawing = drawing.resize((image.width, image.height), Image.Resampling.NEAREST)
    if image.instances:
        drawing = _draw(drawing, image)
    if image.captions:
        lines = [caption.text for caption in image.captions]
        drawing = _write_under(drawing, lines)
    return drawing


def _draw(drawing: Image.Image, image: AnnotatedImage) -> Image.Image:
    # without its masks, which supervision takes all at once, a byte for each pixel of each
    unmasked = (replace(instance, polygons=()) for instance in image.instances)
    detections = replace(image, instances=tuple(unmasked)).to_supervision()
    size = (image.width, image.height)
    thickness = sv.calculate_optimal_line_thickness(resolution_wh=size)
    bgr = np.ascontiguousarray(np.asarray(drawing)[:, :, ::-1])
    has_quads = any(instance.quad for instance in image.instances)
    outlines = sv.OrientedBoxAnnotator if has_quads else sv.BoxAnnotator
    draw_masks(bgr, image)
    bgr = outlines(thickness=thickness).annotate(bgr, detections)
    # unlike LabelAnnotator, this one has letters beyond ASCII (Pillow's own font: no CJK)
    labels = sv.RichLabelAnnotator(
        font_size=_font_size(image.height),
        text_color=sv.Color.BLACK,
        smart_position=len(image.instances) <= _MOST_SPREAD,
    )
    texts = [_label(instance, image.class_names) for instance in image.instances]
    bgr = labels.annotate(bgr, detections, labels=texts)
    return Image.fromarray(np.ascontiguousarray(bgr[:, :, ::-1]))


def draw_masks(bgr: Any, image: AnnotatedImage) -> None:
    """Lay the masks over an image as colours that it shines through, in place.

    `bgr` is a numpy array of uint8, shape (height, width, 3). Smaller masks lie upon larger ones,
    as in supervision's `MaskAnnotator`; but no two are in memory at once.
    """

    def mask_of(instance: KeptInstance) -> tuple[int, int, Any]:
        return to_part_of_mask(instance.polygons, image.width, image.height)

    masked = [instance for instance in image.instances if instance.polygons]
    if not masked:
        return
    coloured = bgr.copy()
    for instance in sorted(masked, key=lambda one: int(mask_of(one)[2].sum()), reverse=True):
        colour = sv.ColorPalette.DEFAULT.by_idx(instance.class_id)
        left, top, part = mask_of(instance)
        below = coloured[top : top + part.shape[0], left : left + part.shape[1]]
        below[part] = colour.as_bgr()
    cv2.addWeighted(coloured, _OPACITY, bgr, 1 - _OPACITY, 0, dst=bgr)


def _label(instance: KeptInstance, class_names: tuple[str, ...]) -> str:
    name = class_names[instance.class_id]
    said = f"{name}: {instance.text}" if instance.text else name
    shown = said if len(said) <= _LONGEST_TEXT else f"{said[: _LONGEST_TEXT - 1]}…"
    return f"{shown} {instance.score:.2f}"


def _write_under(drawing: Image.Image, captions: list[str]) -> Image.Image:
    """The image with its captions on white below it."""
    font = ImageFont.load_default(_font_size(drawing.height))
    margin = _font_size(drawing.height) // 2
    measure = ImageDraw.Draw(drawing).textlength
    lines = [
        line
        for caption in captions
        for line in _wrap(caption, lambda text: measure(text, font) <= drawing.width - 2 * margin)
    ]
    text = "\n".join(lines)
    bottom = ImageDraw.Draw(drawing).multiline_textbbox((0, 0), text, font)[3]
    whole = Image.new("RGB", (drawing.width, drawing.height + int(bottom) + 2 * margin), "white")
    whole.paste(drawing)
    ImageDraw.Draw(whole).multiline_text((margin, drawing.height + margin), text, "black", font)
    return whole


def _wrap(text: str, fits: Callable[[str], bool]) -> list[str]:
    """Words into lines that fit; a word that is too long has a line of its own."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if fits(longer) or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _enlarge(image: AnnotatedImage, factor: int) -> AnnotatedImage:
    def larger(polygon: Polygon) -> Polygon:
        return tuple((x * factor, y * factor) for x, y in polygon)

    def enlarged(instance: KeptInstance) -> KeptInstance:
        x1, y1, x2, y2 = (edge * factor for edge in instance.box)
        polygons = tuple(map(larger, instance.polygons))
        return replace(
            instance, box=(x1, y1, x2, y2), polygons=polygons, quad=larger(instance.quad)
        )

    return replace(
        image,
        width=image.width * factor,
        height=image.height * factor,
        instances=tuple(map(enlarged, image.instances)),
    )


def _font_size(height: int) -> int:
    return max(12, min(48, height // 32))
