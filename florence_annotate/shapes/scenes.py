"""Painting a scene: from a seed to an image and everything that is true about it.

Objects lie wholly inside the image, and at least half of each stays visible. A box is measured on
the pixels as painted, before later objects hide a part of them, so it is exact also where objects
overlap.
"""

import math
import random
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from florence_annotate.shapes import COLOURS, INPUT_SIZE, MAX_OBJECTS, SHAPES
from florence_annotate.shapes.backdrop import background, finish
from florence_annotate.shapes.outlines import Corners, mask, outline
from florence_annotate.types import Box

Polygon = tuple[float, ...]
"""x and y in turn, in pixels: flat, as COCO files hold them, unlike `types.Polygon`."""

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
"""The RGB values that the objects' colours vary around."""

PRINTED_WORDS: tuple[str, ...] = (
    *("OPEN", "EXIT", "STOP", "SALE", "CAFE", "TAXI", "HOTEL", "BANK", "PARK", "SHOP", "FOOD"),
    *("MENU", "NEWS", "PUSH", "PULL", "FREE", "FAST", "SLOW", "LEFT", "RIGHT", "NORTH", "SOUTH"),
    *("EAST", "WEST", "WATER", "MILK", "BREAD", "SALT", "TEA", "FISH", "RICE", "SOUP", "ZOO"),
    *("BUS", "TRAIN", "SHIP", "ROAD", "LAKE", "HILL", "BEACH", "MUSIC", "FILM", "BOOK", "PAPER"),
    *("GAME", "RADIO", "PHONE", "LIGHT", "POWER", "HELLO"),
)
"""The words that can be printed in a scene. Their order is part of what a seed means."""

MAX_WORDS = 2
"""The most words in one scene."""

MIN_SIDE = 8 / INPUT_SIZE
"""Shortest side of an object, as a part of the image's side: 8 pixels of the model's input."""

MAX_SIDE = 0.45
"""Longest side of an object, as a part of the image's shorter side."""

MAX_ASPECT = 2.0
"""The longer side of an object divided by its shorter one is at most this."""

MIN_VISIBLE = 0.5
"""The part of an object's pixels that later objects leave to be seen, at least."""


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One painted object."""

    shape: str
    """One of `shapes.SHAPES`."""
    colour: str
    """One of `shapes.COLOURS`."""
    box: Box
    """Around the whole object, hidden parts too."""
    polygons: tuple[Polygon, ...]
    """The outline of the whole object: one polygon."""
    visible: float
    """The part of the object's pixels that no later object hides, 0 to 1."""

    @property
    def phrase(self) -> str:
        """Colour and shape, as in `red star`."""
        return f"{self.colour} {self.shape}"


@dataclass(frozen=True, slots=True)
class Word:
    """One printed word."""

    text: str
    quad: Polygon
    """The four corners around it, clockwise from the upper left one; its sides are upright."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A painted image with its ground truth."""

    seed: int
    image: Image.Image
    objects: tuple[SceneObject, ...]
    """In the order of painting."""
    words: tuple[Word, ...]


def paint(
    seed: int,
    *,
    max_objects: int = MAX_OBJECTS,
    min_objects: int = 1,
    empty_rate: float = 0.0,
) -> Scene:
    """Paint one scene: the same arguments give the same pixels with one version of Pillow.

    Each number of objects within the limits is equally likely. `empty_rate` is the probability of
    a scene without objects; only training asks for such scenes. Raises ValueError for limits that
    exclude each other.
    """
    if not 0 <= min_objects <= max_objects:
        raise ValueError(f"min_objects {min_objects} and max_objects {max_objects} do not fit")
    rng = random.Random(seed)
    width = rng.randint(240, 640)
    height = min(640, max(200, round(width / math.exp(rng.uniform(-0.45, 0.65)))))
    image = background(rng, width, height)
    count = rng.randint(min_objects, max_objects)
    if rng.random() < empty_rate:
        count = 0
    # most scenes are laid out loosely, the others as tightly as the limit allows
    canvas = _Canvas(image, 0.92 if rng.random() < 0.7 else MIN_VISIBLE)
    words = tuple(
        word for _ in range(rng.choice((0, 0, 1, 1, 2))) if (word := canvas.add_word(rng))
    )
    while len(canvas.placed) < count:
        canvas.add_object(rng)
    objects = canvas.objects()
    return Scene(seed, finish(rng, image), objects, words)


def paint_large(seed: int, side: int = 3000, count: int = 40) -> Scene:
    """Paint a square image of `side` pixels with small objects, none of which hides another.

    The sides of an object are between a 40th and a 15th of the image's.
    """
    rng = random.Random(seed)
    image = background(rng, side, side)
    canvas = _Canvas(image, least_visible=1.0)
    while len(canvas.placed) < count:
        canvas.add_object(rng, side // 40, side // 15)
    return Scene(seed, image, canvas.objects(), ())


@dataclass(slots=True)
class _Placed:
    """An object on the canvas."""

    shape: str
    colour: str
    box: Box
    polygon: Polygon
    pixels: int
    visible: int
    """How many of its pixels later objects have left to be seen."""


class _Canvas:
    """The image in the making, and for each pixel what it shows."""

    _WORD = 255
    """Owner of the pixels in a word's box: they are never painted over."""

    def __init__(self, image: Image.Image, least_visible: float) -> None:
        self.image = image
        self.placed: list[_Placed] = []
        self._least_visible = least_visible
        self._owner: npt.NDArray[np.uint8] = np.zeros((image.height, image.width), np.uint8)
        """Number of the object that a pixel shows, from 1 on; 0 for the background."""

    def objects(self) -> tuple[SceneObject, ...]:
        return tuple(
            SceneObject(p.shape, p.colour, p.box, (p.polygon,), p.visible / p.pixels)
            for p in self.placed
        )

    def add_word(self, rng: random.Random) -> Word | None:
        """Print a word on the background; None where it is too wide or another word is near."""
        text = rng.choice(PRINTED_WORDS)
        # large enough to read once the image is squashed to the model's square
        side = max(self.image.height, 0.75 * self.image.width)
        font = ImageFont.load_default(round(side * rng.uniform(0.11, 0.16)))
        left, top, right, bottom = (round(v) for v in font.getbbox(text))
        width, height = right - left, bottom - top
        if width >= self.image.width:
            return None
        x = rng.randint(0, self.image.width - width)
        y = rng.randint(0, self.image.height - height)
        if self._owner[max(0, y - 4) : y + height + 4, max(0, x - 4) : x + width + 4].any():
            return None
        self._owner[y : y + height, x : x + width] = self._WORD
        behind = np.asarray(self.image.crop((x, y, x + width, y + height))).mean()
        ink = (235, 235, 235) if behind < 128 else (24, 24, 24)
        ImageDraw.Draw(self.image).text((x - left, y - top), text, font=font, fill=ink)
        x1, y1, x2, y2 = float(x), float(y), float(x + width), float(y + height)
        return Word(text, (x1, y1, x2, y1, x2, y2, x1, y2))

    def add_object(
        self, rng: random.Random, least: int | None = None, most: int | None = None
    ) -> None:
        """Try to add an object at a random place; where it does not fit, nothing is painted.

        Its sides are between `least` and `most` pixels: without them, what the model's input needs.
        """
        size = self._draw_size(rng, least, most)
        if size is None:
            return
        width, height = size
        shape, colour = rng.choice(SHAPES), rng.choice(COLOURS)
        x = rng.randint(0, self.image.width - width)
        y = rng.randint(0, self.image.height - height)
        corners = outline(shape, rng.uniform(0.28, 0.4))
        coverage = mask(corners, width, height)
        solid = np.asarray(coverage) >= 128
        near = (x, y, x + width, y + height)
        # two objects of one colour that touch have no edge between them to go by
        if any(p.colour == colour and _boxes_meet(p.box, near) for p in self.placed):
            return
        if not self._hide(solid, x, y):
            return
        fill = tuple(max(0, min(255, c + rng.randint(-14, 14))) for c in PALETTE[colour])
        self.image.paste(fill, (x, y), coverage)
        self._owner[y : y + height, x : x + width][solid] = len(self.placed) + 1
        rows, columns = np.flatnonzero(solid.any(1)), np.flatnonzero(solid.any(0))
        box = (
            float(x + columns[0]),
            float(y + rows[0]),
            float(x + columns[-1] + 1),
            float(y + rows[-1] + 1),
        )
        polygon = _polygon_within(box, [(x + cx * width, y + cy * height) for cx, cy in corners])
        pixels = int(solid.sum())
        self.placed.append(_Placed(shape, colour, box, polygon, pixels, visible=pixels))

    def _draw_size(
        self, rng: random.Random, least: int | None, most: int | None
    ) -> tuple[int, int] | None:
        """Width and height of an object; None where they would be too unlike."""
        least_width = least or math.ceil(self.image.width * MIN_SIDE)
        least_height = least or math.ceil(self.image.height * MIN_SIDE)
        most = most or math.floor(min(self.image.size) * MAX_SIDE)
        size = math.exp(rng.uniform(math.log(max(least_width, least_height)), math.log(most)))
        stretch = math.exp(rng.uniform(-0.5, 0.5) * math.log(MAX_ASPECT))
        # one pixel more than the limit: the object as painted may be one less
        width = min(most, max(least_width + 1, round(size * stretch)))
        height = min(most, max(least_height + 1, round(size / stretch)))
        return (width, height) if 1 / MAX_ASPECT <= width / height <= MAX_ASPECT else None

    def _hide(self, solid: npt.NDArray[np.bool_], x: int, y: int) -> bool:
        """Count what an object at (x, y) hides of the others, and tell whether it may be there.

        It may not where it would hide a word, or too much of an object; then nothing is counted.
        """
        height, width = solid.shape
        hidden = np.bincount(self._owner[y : y + height, x : x + width][solid], minlength=256)
        if hidden[self._WORD]:
            return False
        left = [p.visible - int(hidden[k]) for k, p in enumerate(self.placed, 1)]
        if any(v < self._least_visible * p.pixels for v, p in zip(left, self.placed, strict=True)):
            return False
        for visible, placed in zip(left, self.placed, strict=True):
            placed.visible = visible
        return True


def _boxes_meet(a: Box, b: Box) -> bool:
    """Whether two boxes overlap or come closer than two pixels."""
    return a[0] < b[2] + 2 and b[0] < a[2] + 2 and a[1] < b[3] + 2 and b[1] < a[3] + 2


def _polygon_within(box: Box, corners: Corners) -> Polygon:
    """The corners, moved into the box: they differ from the painted pixels by less than a pixel."""
    x1, y1, x2, y2 = box
    moved = ((min(max(x, x1), x2), min(max(y, y1), y2)) for x, y in corners)
    return tuple(value for corner in moved for value in corner)
