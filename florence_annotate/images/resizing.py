"""Upright RGB image → the square, or squares, of pixels that the model takes."""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from PIL import Image

from florence_annotate.types import Box


def model_pixels(
    image: Image.Image, side: int, tiles: Sequence[Box] = (), *, is_exact: bool = True
) -> Any:
    """The views of an RGB image as the model takes them: the whole image, then each tile.

    Each is resized to a square by a bicubic filter, whatever its proportions: by Pillow's, or
    where `is_exact` is false by PyTorch's. Tiles are boxes in whole pixels. Returns a numpy array
    of uint8, shape (views, 3, side, side).
    """
    import numpy as np

    # one after the other: all tiles together are larger than the image
    views = chain([image], map(image.crop, tiles))
    resize = _resize_by_pillow if is_exact else _resize_by_torch
    pixels = np.empty((1 + len(tiles), 3, side, side), np.uint8)
    for view, square in zip(views, pixels, strict=True):
        for number, plane in enumerate(resize(view, side)):
            square[number] = plane
    return pixels


def _resize_by_pillow(image: Image.Image, side: int) -> Iterable[Any]:
    """Its planes: Pillow parts them in half the time that numpy takes to turn an array round."""
    import numpy as np

    square = image.resize((side, side), Image.Resampling.BICUBIC)
    return map(np.asarray, square.split())


def _resize_by_torch(image: Image.Image, side: int) -> Iterable[Any]:
    """The same filter with weights of 16 bits instead of 32, by the processor's vector units: some
    values differ, by 1, seldom by 2."""
    import numpy as np
    import torch
    from torch.nn.functional import interpolate

    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]
    square = interpolate(pixels, (side, side), mode="bicubic", antialias=True)[0]
    planes: Iterable[Any] = square.numpy()
    return planes
