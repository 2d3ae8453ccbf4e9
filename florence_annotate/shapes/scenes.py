"""The scene painter: from a seed to a picture and everything that is true about it.

:func:`paint` is a pure function of its arguments. Objects lie wholly inside the picture, at least
half of each stays visible, and boxes are measured on the pixels as painted (before later objects
hide a part), so the ground truth is exact also where objects overlap.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from florence_annotate.shapes import COLOURS, INPUT_SIZE, MAX_OBJECTS, SHAPES
from florence_annotate.shapes.backdrop import background, finish

Box = tuple[float, float, float, float]
Polygon = tuple[float, ...]

PALETTE: dict[str, tuple[int, int, int]] = {
    "red": (222, 30, 34),
    "yellow": (250, 218, 30),
    "green": (28, 158, 50),
    "cyan": (50, 216, 226),
    "blue": (36, 62, 214),
    "pink": (252, 100, 190),
    "black": (16, 16, 18),
    "white": (246, 246, 244),
}

PRINTED_WORDS: tuple[str, ...] = (
    *("OPEN", "EXIT", "STOP", "SALE", "CAFE", "TAXI", "HOTEL", "BANK", "PARK", "SHOP", "FOOD"),
    *("MENU", "NEWS", "PUSH", "PULL", "FREE", "FAST", "SLOW", "LEFT", "RIGHT", "NORTH", "SOUTH"),
    *("EAST", "WEST", "WATER", "MILK", "BREAD", "SALT", "TEA", "FISH", "RICE", "SOUP", "ZOO"),
    *("BUS", "TRAIN", "SHIP", "ROAD", "LAKE", "HILL", "BEACH", "MUSIC", "FILM", "BOOK", "PAPER"),
    *("GAME", "RADIO", "PHONE", "LIGHT", "POWER", "HELLO"),
)

MAX_WORDS = 2

MIN_SIDE = 8 / INPUT_SIZE
"""Shortest side of an object, as a part of the picture's side: 8 pixels of the model's input."""
MAX_SIDE = 0.45
"""Longest side of an object, as a part of the picture's shorter side."""
MAX_ASPECT = 2.0
MIN_VISIBLE = 0.5

_SUPERSAMPLING = 2


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One painted object.

    Attributes:
        shape: One of :data:`~florence_annotate.shapes.SHAPES`.
        colour: One of :data:`~florence_annotate.shapes.COLOURS`.
        box: Full extents as painted, ``(x1, y1, x2, y2)`` in pixels.
        polygons: Outline of the whole object, hidden parts too, flat ``x, y`` pairs in pixels.
        visible: The part of the object's pixels that no later object hides, 0 to 1.
    """

    shape: str
    colour: str
    box: Box
    polygons: tuple[Polygon, ...]
    visible: float

    @property
    def phrase(self) -> str:
        """Colour and shape, as in ``red star``."""
        return f"{self.colour} {self.shape}"


@dataclass(frozen=True, slots=True)
class Word:
    """One printed word: its text and the upright quadrilateral around it, clockwise from the
    upper left corner, flat ``x, y`` pairs in pixels."""

    text: str
    quad: Polygon


@dataclass(frozen=True, slots=True)
class Scene:
    """A painted picture with its ground truth; objects in the order of painting."""

    seed: int
    image: Image.Image
    objects: tuple[SceneObject, ...]
    words: tuple[Word, ...]


def paint(
    seed: int,
    *,
    max_objects: int = MAX_OBJECTS,
    min_objects: int = 1,
    empty_rate: float = 0.0,
) -> Scene:
    """Paint one scene.

    Args:
        seed: Decides everything that the other arguments leave open.
        max_objects: Upper limit of the number of objects.
        min_objects: Lower limit; each number in between is equally likely.
        empty_rate: Probability of a scene without objects (for training only).

    Returns:
        The scene. The same arguments give the same pixels with one Pillow version.

    Raises:
        ValueError: If the limits make no sense.
    """
    if not 0 <= min_objects <= max_objects:
        raise ValueError(f"min_objects {min_objects} and max_objects {max_objects} do not fit")
    rng = random.Random(seed)
    width = rng.randint(240, 640)
    height = min(640, max(200, round(width / math.exp(rng.uniform(-0.45, 0.65)))))
    image = background(rng, width, height)
    canvas = _Canvas(image)
    count = rng.randint(min_objects, max_objects)
    if rng.random() < empty_rate:
        count = 0
    # Most scenes are laid out loosely, the others as tightly as the limit allows.
    canvas.least_visible = 0.92 if rng.random() < 0.7 else MIN_VISIBLE
    words = tuple(
        word for _ in range(rng.choice((0, 0, 1, 1, 2))) if (word := canvas.add_word(rng))
    )
    while len(canvas.placed) < count:
        canvas.add_object(rng)
    objects = canvas.objects()
    return Scene(seed, finish(rng, image), objects, words)


def paint_large(seed: int, side: int = 3000, count: int = 40) -> Scene:
    """Paint a large square picture with small objects, none of which hides another.

    Args:
        seed: Decides everything else.
        side: Of the picture, in pixels.
        count: Number of objects, each a 40th to a 15th of the side.
    """
    rng = random.Random(seed)
    image = background(rng, side, side)
    canvas = _Canvas(image)
    canvas.least_visible = 1.0
    while len(canvas.placed) < count:
        canvas.add_object(rng, side // 40, side // 15)
    return Scene(seed, image, canvas.objects(), ())


def outline(shape: str, thickness: float = 1 / 3) -> list[tuple[float, float]]:
    """The corners of a shape that fills the unit square exactly.

    Args:
        shape: One of :data:`~florence_annotate.shapes.SHAPES`.
        thickness: Width of the bars of a cross, as a part of its side.
    """
    if shape == "ellipse":
        turns = [2 * math.pi * k / 48 for k in range(48)]
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
        radii = (1.0, 0.42)
        corners = [
            (math.sin(math.pi * k / 5) * radii[k % 2], -math.cos(math.pi * k / 5) * radii[k % 2])
            for k in range(10)
        ]
        left, right = min(x for x, _ in corners), max(x for x, _ in corners)
        top, bottom = min(y for _, y in corners), max(y for _, y in corners)
        return [((x - left) / (right - left), (y - top) / (bottom - top)) for x, y in corners]
    raise ValueError(f"unknown shape {shape!r}")


@dataclass(slots=True)
class _Placed:
    """An object on the canvas, with what is left to see of it."""

    shape: str
    colour: str
    box: Box
    polygon: Polygon
    pixels: int
    visible: int


class _Canvas:
    """The picture in the making, and for each pixel the number of the object that it shows."""

    def __init__(self, image: Image.Image) -> None:
        self.image = image
        self.owner: npt.NDArray[np.uint8] = np.zeros((image.height, image.width), np.uint8)
        self.placed: list[_Placed] = []
        self.least_visible = MIN_VISIBLE

    _WORD = 255  # owner of a pixel in a word's box: never painted over

    def objects(self) -> tuple[SceneObject, ...]:
        return tuple(
            SceneObject(p.shape, p.colour, p.box, (p.polygon,), p.visible / p.pixels)
            for p in self.placed
        )

    def add_word(self, rng: random.Random) -> Word | None:
        """Print a word on the background; None where the place is taken by another word."""
        text = rng.choice(PRINTED_WORDS)
        # large enough to read once the picture is squashed to the model's square
        side = max(self.image.height, 0.75 * self.image.width)
        font = ImageFont.load_default(round(side * rng.uniform(0.11, 0.16)))
        left, top, right, bottom = (round(v) for v in font.getbbox(text))
        width, height = right - left, bottom - top
        if width >= self.image.width:
            return None
        x = rng.randint(0, self.image.width - width)
        y = rng.randint(0, self.image.height - height)
        if self.owner[max(0, y - 4) : y + height + 4, max(0, x - 4) : x + width + 4].any():
            return None
        self.owner[y : y + height, x : x + width] = self._WORD
        behind = np.asarray(self.image.crop((x, y, x + width, y + height))).mean()
        ink = (235, 235, 235) if behind < 128 else (24, 24, 24)
        ImageDraw.Draw(self.image).text((x - left, y - top), text, font=font, fill=ink)
        x1, y1, x2, y2 = float(x), float(y), float(x + width), float(y + height)
        return Word(text, (x1, y1, x2, y1, x2, y2, x1, y2))

    def add_object(
        self, rng: random.Random, least: int | None = None, most: int | None = None
    ) -> None:
        """Try to add one object at a random place; leaves the canvas alone where it won't fit.

        Its sides are between `least` and `most` pixels; as the model's input needs them by default.
        """
        picture_width, picture_height = self.image.size
        least_w = least or math.ceil(picture_width * MIN_SIDE)
        least_h = least or math.ceil(picture_height * MIN_SIDE)
        most = most or math.floor(min(picture_width, picture_height) * MAX_SIDE)
        size = math.exp(rng.uniform(math.log(max(least_w, least_h)), math.log(most)))
        stretch = math.exp(rng.uniform(-0.5, 0.5) * math.log(MAX_ASPECT))
        # One pixel more than the limit: the painted extents may round to one less.
        width = min(most, max(least_w + 1, round(size * stretch)))
        height = min(most, max(least_h + 1, round(size / stretch)))
        if not 1 / MAX_ASPECT <= width / height <= MAX_ASPECT:
            return
        shape, colour = rng.choice(SHAPES), rng.choice(COLOURS)
        x = rng.randint(0, picture_width - width)
        y = rng.randint(0, picture_height - height)
        corners = outline(shape, rng.uniform(0.28, 0.4))
        mask = _mask(corners, width, height)
        solid = np.asarray(mask) >= 128
        near = (x, y, x + width, y + height)
        # Two objects of one colour that touch have no edge between them to go by.
        if any(p.colour == colour and _boxes_meet(p.box, near) for p in self.placed):
            return
        if not self._fits(solid, x, y):
            return
        fill = tuple(max(0, min(255, c + rng.randint(-14, 14))) for c in PALETTE[colour])
        self.image.paste(fill, (x, y), mask)
        self.owner[y : y + height, x : x + width][solid] = len(self.placed) + 1
        rows, columns = np.flatnonzero(solid.any(1)), np.flatnonzero(solid.any(0))
        box = (x + columns[0], y + rows[0], x + columns[-1] + 1, y + rows[-1] + 1)
        polygon = [v for cx, cy in corners for v in (x + cx * width, y + cy * height)]
        pixels = int(solid.sum())
        x1, y1, x2, y2 = (float(v) for v in box)
        # The outline and the pixels differ by less than a pixel; the polygon keeps to the box.
        clipped = [
            min(max(v, low), high)
            for v, (low, high) in zip(polygon, [(x1, x2), (y1, y2)] * len(corners), strict=True)
        ]
        self.placed.append(_Placed(shape, colour, (x1, y1, x2, y2), tuple(clipped), pixels, pixels))

    def _fits(self, solid: npt.NDArray[np.bool_], x: int, y: int) -> bool:
        """Whether everything below stays visible enough; if so, books what is now hidden."""
        height, width = solid.shape
        hidden = np.bincount(self.owner[y : y + height, x : x + width][solid], minlength=256)
        if hidden[self._WORD]:
            return False
        left = [p.visible - int(hidden[k]) for k, p in enumerate(self.placed, 1)]
        if any(v < self.least_visible * p.pixels for v, p in zip(left, self.placed, strict=True)):
            return False
        for visible, placed in zip(left, self.placed, strict=True):
            placed.visible = visible
        return True


def _boxes_meet(a: Box, b: Box) -> bool:
    """Whether two boxes overlap or come closer than two pixels."""
    return a[0] < b[2] + 2 and b[0] < a[2] + 2 and a[1] < b[3] + 2 and b[1] < a[3] + 2


def _mask(corners: list[tuple[float, float]], width: int, height: int) -> Image.Image:
    """The coverage of each pixel, 0 to 255, by the shape stretched to the given size."""
    w, h = width * _SUPERSAMPLING, height * _SUPERSAMPLING
    mask = Image.new("L", (w, h), 0)
    # Pillow's polygons include their last pixel, hence the -1.
    ImageDraw.Draw(mask).polygon([(x * (w - 1), y * (h - 1)) for x, y in corners], fill=255)
    return mask.reduce(_SUPERSAMPLING)
