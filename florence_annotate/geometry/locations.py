"""Location bins to pixels, and back.

A location token `<loc_b>` is one of 1000 bins along an edge of the image. Bin b of an image
W pixels wide stands for x = (b + 0.5) · W / 1000, its centre (quantizer of the original
checkpoints' processor), so a coordinate is off by at most half a bin.
"""

import math
from collections.abc import Sequence

from florence_annotate.tasks import LOCATION_BINS as BINS
from florence_annotate.types import Box


def to_pixels(bin_index: int, size: int) -> float:
    """The centre of a bin in pixels, along an edge of `size` pixels."""
    return (bin_index + 0.5) * size / BINS


def box_to_pixels(bins: Sequence[int], width: int, height: int) -> Box:
    """The same of a box's four bins, x1, y1, x2, y2, in an image of `width` by `height` pixels."""
    x1, y1, x2, y2 = bins
    return (
        (x1 + 0.5) * width / BINS,
        (y1 + 0.5) * height / BINS,
        (x2 + 0.5) * width / BINS,
        (y2 + 0.5) * height / BINS,
    )


def to_bin(position: float, size: int) -> int:
    """The bin that holds a position in pixels, along an edge of `size` pixels.

    Positions outside the image are put in its first or last bin.
    """
    return min(max(math.floor(position * BINS / size), 0), BINS - 1)


def to_locations(box: Box, width: int, height: int) -> str:
    """A box in pixels as the four location tokens of a prompt.

    `width` and `height` are those of the image, or of the tile, that the box is counted in.
    """
    sizes = (width, height, width, height)
    bins = (to_bin(edge, size) for edge, size in zip(box, sizes, strict=True))
    return "".join(f"<loc_{bin_index}>" for bin_index in bins)
