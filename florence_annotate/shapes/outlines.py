"""The outline of each shape, and the mask of one that is stretched to a size in pixels."""

import math

from PIL import Image, ImageDraw

_SUPERSAMPLING = 2
_ELLIPSE_CORNERS = 48
_STAR_RADII = 1.0, 0.42
"""Of the points of a star, and of the corners between them."""

Corners = list[tuple[float, float]]
"""x, y pairs."""


def outline(shape: str, thickness: float = 1 / 3) -> Corners:
    """The corners of a shape that fills the unit square exactly.

    `shape` is one of `shapes.SHAPES`; `thickness` is the width of a cross's bars, as a part of its
    side. Raises ValueError for another shape.
    """
    if shape == "ellipse":
        turns = [2 * math.pi * k / _ELLIPSE_CORNERS for k in range(_ELLIPSE_CORNERS)]
        return [(0.5 + 0.5 * math.cos(t), 0.5 + 0.5 * math.sin(t)) for t in turns]
    if shape == "rectangle":
        return [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
    if shape == "triangle":
        return [(0.5, 0.0), (1.0, 1.0), (0.0, 1.0)]
    if shape == "cross":
        a, b = 0.5 - thickness / 2, 0.5 + thickness / 2
        return [(a, 0), (b, 0), (b, a), (1, a), (1, b), (b, b), (b, 1), (a, 1), (a, b), (0, b),
                (0, a), (a, a)]  # fmt: skip
    if shape == "star":
        corners = [
            (math.sin(math.pi * k / 5) * radius, -math.cos(math.pi * k / 5) * radius)
            for k, radius in enumerate(_STAR_RADII * 5)
        ]
        left, right = min(x for x, _ in corners), max(x for x, _ in corners)
        top, bottom = min(y for _, y in corners), max(y for _, y in corners)
        return [((x - left) / (right - left), (y - top) / (bottom - top)) for x, y in corners]
    raise ValueError(f"unknown shape {shape!r}")


def mask(corners: Corners, width: int, height: int) -> Image.Image:
    """How much of each pixel a stretched shape covers, 0 to 255."""
    w, h = width * _SUPERSAMPLING, height * _SUPERSAMPLING
    drawn = Image.new("L", (w, h), 0)
    # Pillow's polygons include their last pixel, hence the -1
    ImageDraw.Draw(drawn).polygon([(x * (w - 1), y * (h - 1)) for x, y in corners], fill=255)
    return drawn.reduce(_SUPERSAMPLING)
