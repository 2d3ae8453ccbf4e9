import io
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from image_files import encoded
from PIL import Image, ImageFile, ImageOps

from florence_annotate.images.loading import LoadingOptions, load_batches
from florence_annotate.images.tiles import Tiling
from florence_annotate.shapes.scenes import paint
from florence_annotate.types import Failure, ImageRef, Loaded, Picture

DEADLY, HANGING = b"DEADLYPIC", b"HANGINGPIC"


class DeadlyPlugin(ImageFile.ImageFile):
    """Stands for a decoder with a bug in C: the process dies in it."""

    def _open(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class HangingPlugin(ImageFile.ImageFile):
    def _open(self) -> None:
        time.sleep(3600)


@pytest.fixture(autouse=True)
def broken_decoders() -> Iterator[None]:
    """In the place of two of Pillow's own; worker processes inherit them."""
    Image.init()
    own = dict(Image.OPEN)
    Image.OPEN["PCX"] = DeadlyPlugin, lambda beginning: beginning.startswith(DEADLY)
    Image.OPEN["QOI"] = HangingPlugin, lambda beginning: beginning.startswith(HANGING)
    yield
    Image.OPEN.update(own)


def refs(folder: Path, contents: list[bytes]) -> list[ImageRef]:
    found = []
    for index, content in enumerate(contents):
        path = folder / f"{index}.jpg"
        path.write_bytes(content)
        found.append(ImageRef(path.name, bytes(path), len(content), 0))
    return found


def good() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(buffer, "PNG")
    return buffer.getvalue()


def outcome(loaded: Loaded) -> tuple[str, str]:
    return loaded.ref.key, loaded.kind if isinstance(loaded, Failure) else "ok"


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_every_ref_comes_back_once_and_in_order(tmp_path: Path, workers: int) -> None:
    listed = refs(tmp_path, [good(), b"no image", b"", good(), good()])
    batches = list(load_batches(iter(listed), LoadingOptions(96, 2, workers)))
    assert [len(batch) for batch in batches] == [2, 2, 1]
    assert [outcome(loaded) for batch in batches for loaded in batch] == [
        ("0.jpg", "ok"), ("1.jpg", "not-an-image"), ("2.jpg", "empty"), ("3.jpg", "ok"),
        ("4.jpg", "ok"),
    ]  # fmt: skip


def test_an_image_carries_its_pixels_hash_and_true_size(tmp_path: Path) -> None:
    (batch,) = load_batches(refs(tmp_path, [good()]), LoadingOptions(96, 1, 0))
    (picture,) = batch
    assert isinstance(picture, Picture)
    assert (picture.width, picture.height, picture.pixels.shape) == (40, 30, (1, 3, 96, 96))
    assert len(picture.sha) == 64


@pytest.mark.parametrize("workers", [1, 2])
def test_a_decoder_that_dies_costs_only_its_image(tmp_path: Path, workers: int) -> None:
    listed = refs(tmp_path, [good(), good(), DEADLY, good(), DEADLY, good(), good()])
    loaded = [x for b in load_batches(listed, LoadingOptions(96, 2, workers)) for x in b]
    assert [outcome(one) for one in loaded] == [
        ("0.jpg", "ok"), ("1.jpg", "ok"), ("2.jpg", "crashed"), ("3.jpg", "ok"),
        ("4.jpg", "crashed"), ("5.jpg", "ok"), ("6.jpg", "ok"),
    ]  # fmt: skip


def test_a_reader_that_dies_while_the_job_looks_elsewhere_is_noticed(tmp_path: Path) -> None:
    # the batch before the deadly one waits to be taken: larger than a pipe, so that it would be
    # cut in two if it were in one
    listed = refs(tmp_path, [good(), good(), DEADLY, good()])
    batches = load_batches(listed, LoadingOptions(768, 1, 1))
    loaded = next(batches)
    time.sleep(2)
    loaded += [one for batch in batches for one in batch]
    assert [outcome(one) for one in loaded] == [
        ("0.jpg", "ok"), ("1.jpg", "ok"), ("2.jpg", "crashed"), ("3.jpg", "ok"),
    ]  # fmt: skip
    assert all(one.pixels.any() for one in loaded if isinstance(one, Picture))


def test_a_decoder_that_hangs_costs_only_its_image(tmp_path: Path) -> None:
    listed = refs(tmp_path, [good(), HANGING, good()])
    options = LoadingOptions(96, 2, 1, time_limit=1.0)
    loaded = [x for batch in load_batches(listed, options) for x in batch]
    assert [outcome(one) for one in loaded] == [("0.jpg", "ok"), ("1.jpg", "hung"), ("2.jpg", "ok")]


def photographs() -> list[bytes]:
    """JPEGs that differ in size, proportions, sampling and orientation; a PNG."""
    scene = paint(6_000_001).image
    turned = Image.Exif()
    turned[0x0112] = 6
    return [
        encoded(scene.resize((1000, 750)), "JPEG", quality=90),
        encoded(scene.resize((750, 1001)), "JPEG", quality=90, subsampling=0),
        encoded(scene.resize((1000, 400)), "JPEG", exif=turned),
        encoded(scene.resize((90, 95)), "JPEG"),
        encoded(scene.resize((180, 190)).convert("L"), "JPEG"),
        encoded(scene.resize((801, 600)), "PNG"),
    ]


def pictures(folder: Path, options: LoadingOptions) -> list[Picture]:
    loaded = [x for b in load_batches(refs(folder, photographs()), options) for x in b]
    return [one for one in loaded if isinstance(one, Picture)]


@pytest.mark.parametrize("workers", [0, 2])
def test_pixels_are_pillows_to_the_bit(tmp_path: Path, workers: int) -> None:
    found = pictures(tmp_path, LoadingOptions(96, 2, workers))
    for picture, data in zip(found, photographs(), strict=True):
        image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
        square = image.resize((96, 96), Image.Resampling.BICUBIC)
        assert np.array_equal(picture.pixels[0], np.asarray(square).transpose(2, 0, 1))


@pytest.mark.parametrize("workers", [0, 2])
def test_fast_pixels_are_near_and_all_else_is_equal(tmp_path: Path, workers: int) -> None:
    exact = pictures(tmp_path, LoadingOptions(96, 2, workers))
    fast = pictures(tmp_path, LoadingOptions(96, 2, workers, is_exact=False))
    for one, other in zip(exact, fast, strict=True):
        assert (one.sha, one.width, one.height) == (other.sha, other.width, other.height)
        assert one.pixels.shape == other.pixels.shape
        assert abs(one.pixels.astype(int) - other.pixels).mean() < 2
    differ = [abs(a.pixels.astype(int) - b.pixels).max() for a, b in zip(exact, fast, strict=True)]
    assert max(differ[:3]) > 2  # decoded at a part of its size
    assert max(differ[3:]) <= 2


def test_of_an_image_in_tiles_every_pixel_is_decoded(tmp_path: Path) -> None:
    tiling = Tiling.parse("2x2")
    exact = pictures(tmp_path, LoadingOptions(96, 2, 0, tiling=tiling))
    fast = pictures(tmp_path, LoadingOptions(96, 2, 0, tiling=tiling, is_exact=False))
    assert [len(picture.pixels) for picture in fast] == [5] * len(photographs())
    for one, other in zip(exact, fast, strict=True):
        assert one.tiles == other.tiles
        assert abs(one.pixels.astype(int) - other.pixels).max() <= 2
