"""An image → the pixels that the model takes."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from florence_annotate.images import resizing
from florence_annotate.shapes.scenes import paint, paint_large


@pytest.mark.parametrize("size", [(1, 1), (20_000, 10)])
def test_extreme_sizes_reach_the_models_square(size: tuple[int, int]) -> None:
    pixels = resizing.model_pixels(Image.new("RGB", size, (1, 2, 3)), 96)
    assert pixels.shape == (1, 3, 96, 96)
    assert pixels[0, :, 50, 50].tolist() == [1, 2, 3]


def test_a_tile_is_resized_as_an_image_of_its_own() -> None:
    scene = paint_large(5, side=600, count=4)
    tile = (100.0, 50.0, 400.0, 250.0)
    whole, part = resizing.model_pixels(scene.image, 96, [tile])
    assert (whole == resizing.model_pixels(scene.image, 96)[0]).all()
    assert (part == resizing.model_pixels(scene.image.crop(tile), 96)[0]).all()


_CUT = """
import resource, sys
from PIL import Image
from florence_annotate.images import resizing
from florence_annotate.images.tiles import Tiling

image = Image.new("RGB", (4000, 4000))
resizing.model_pixels(image, 32)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
resizing.model_pixels(image, 32, Tiling.parse("6x6", 0.5).cut(4000, 4000))
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((after - before) * (1 if sys.platform == "darwin" else 1024))
"""


def test_tiles_are_cut_one_after_the_other() -> None:
    done = subprocess.run([sys.executable, "-c", _CUT], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 3 * 4000 * 4000  # of bytes: less than the image again


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (64, 48), (500, 375), (1999, 1501)])
def test_pytorch_resizes_as_pillow_does_but_for_rounding(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(-30, 31, (*size[::-1], 3))
    scene = np.asarray(paint(6_000_000).image.resize(size)) + noise
    image = Image.fromarray(scene.clip(0, 255).astype(np.uint8))
    tiles = [(0.0, 0.0, float(size[0]), max(1.0, size[1] // 2))]
    exact = resizing.model_pixels(image, 96, tiles).astype(int)
    fast = resizing.model_pixels(image, 96, tiles, is_exact=False)
    assert (fast.shape, fast.dtype) == (exact.shape, np.uint8)
    assert abs(fast - exact).max() <= 2
