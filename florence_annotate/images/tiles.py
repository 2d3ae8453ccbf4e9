"""Large images in overlapping tiles, so that small things are large enough for the model."""

import math
import re
from dataclasses import dataclass

from florence_annotate.errors import UsageError
from florence_annotate.types import Box

DEFAULT_OVERLAP = 0.2
MOST_TILES = 256
"""The most tiles of one image."""
LEAST_SIDE = 32
"""Of a tile, in pixels."""


@dataclass(frozen=True, slots=True)
class Tiling:
    """How images are cut: in columns and rows, or in square tiles of `side` pixels."""

    columns: int = 0
    rows: int = 0
    side: int = 0
    overlap: float = DEFAULT_OVERLAP
    """The part of a tile's side that it shares with its neighbour, in [0, 0.5]."""

    @classmethod
    def parse(cls, text: str, overlap: float | None = None) -> "Tiling":
        """A tiling from `2x2` (columns and rows) or `768` (pixels); raises UsageError otherwise."""
        overlap = DEFAULT_OVERLAP if overlap is None else overlap
        match = re.fullmatch(r"(\d{1,9})(?:x(\d{1,9}))?", text.strip().lower())
        first, second = (int(part or 0) for part in match.groups()) if match else (0, 0)
        if match and match[2] and 0 < first * second <= MOST_TILES:
            return cls(columns=first, rows=second, overlap=overlap)
        if match and not match[2] and first >= LEAST_SIDE:
            return cls(side=first, overlap=overlap)
        raise UsageError(
            f"--tiles {text}: write columns and rows, as in 2x2 (at most {MOST_TILES} tiles), or "
            f"the side of a tile in pixels, as in 768 (at least {LEAST_SIDE})"
        )

    @property
    def most(self) -> int:
        """The most tiles that any image can have."""
        return self.columns * self.rows or MOST_TILES

    def cut(self, width: int, height: int) -> list[Box]:
        """The tiles of a `width` by `height` pixels image, row by row, as boxes in whole pixels.

        They cover the image and are all of one size. None where one tile would hold all of it.
        """
        if self.side:
            tile_width, tile_height = min(self.side, width), min(self.side, height)
        else:
            tile_width = _fitting(width, self.columns, self.overlap)
            tile_height = _fitting(height, self.rows, self.overlap)
        lefts = _starts(width, tile_width, self.overlap, self.columns)
        tops = _starts(height, tile_height, self.overlap, self.rows)
        if len(lefts) * len(tops) == 1:
            return []
        return [
            (float(x), float(y), float(x + tile_width), float(y + tile_height))
            for y in tops
            for x in lefts
        ]


def _fitting(size: int, count: int, overlap: float) -> int:
    """The side, in pixels, of `count` tiles that together cover `size` pixels and overlap."""
    return min(size, math.ceil(size / (count - (count - 1) * overlap)))


def _starts(size: int, tile: int, overlap: float, count: int) -> list[int]:
    """The pixels at which tiles begin: evenly spread, the first and the last at the edges.

    `count` 0: as many tiles as the overlap needs.
    """
    if not count:
        step = max(1, math.floor(tile * (1 - overlap)))
        count = 1 + math.ceil((size - tile) / step)
    return sorted({round(index * (size - tile) / max(1, count - 1)) for index in range(count)})
