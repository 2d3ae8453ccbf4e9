"""What surrounds the objects of a scene: soft gradients behind them, blur and noise over all."""

import functools
import random

import numpy as np
from PIL import Image, ImageChops, ImageFilter

_NOISE_SIDE = 704
"""In pixels: more than the longest side of a scene."""


def background(rng: random.Random, width: int, height: int) -> Image.Image:
    """A soft gradient between muted colours, none of them close to an object's colour."""
    columns, rows = rng.randint(1, 3), rng.randint(1, 3)
    base = rng.uniform(85, 175)
    corners = Image.new("RGB", (columns, rows))
    for x in range(columns):
        for y in range(rows):
            value = base + rng.uniform(-35, 35)
            tint = [rng.uniform(-22, 22) for _ in range(3)]
            corners.putpixel((x, y), tuple(round(value + t) for t in tint))
    return corners.resize((width, height), Image.Resampling.BILINEAR)


def finish(rng: random.Random, image: Image.Image) -> Image.Image:
    """Blur some images slightly, then put noise over all of them."""
    if rng.random() < 0.3:
        image = image.filter(ImageFilter.BoxBlur(rng.uniform(0.4, 1.4)))
    noise = _noise(rng.choice((0, 3, 7, 12)))
    x, y = (rng.randint(0, _NOISE_SIDE - side) for side in image.size)
    grain = noise.crop((x, y, x + image.width, y + image.height))
    return ImageChops.add(image, grain, scale=1, offset=-128)


@functools.cache
def _noise(deviation: int) -> Image.Image:
    """Normal noise around 128, made once: cutting from it is much cheaper than drawing anew."""
    noise = np.random.RandomState(deviation).normal(128, deviation, (_NOISE_SIDE, _NOISE_SIDE, 3))
    return Image.fromarray(np.clip(np.rint(noise), 0, 255).astype(np.uint8))
