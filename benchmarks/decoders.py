"""Ways from the bytes of an image to the model's square, for `benchmarks.loading`."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from PIL import Image, features

from florence_annotate.images import codec, resizing

MOST = 10**9


@dataclass(frozen=True, slots=True)
class Decoder:
    """`decode` gives an image of Pillow's or an array (height, width, 3); `resize` makes of it
    uint8, shape (3, S, S)."""

    decode: Callable[[], Any]
    resize: Callable[[Any], np.ndarray]


def contestants(data: bytes, side: int) -> dict[str, Decoder]:
    """By name; the first is what a job does by default, the second its `--pixels fast`."""

    def exact(image: Any) -> Any:
        image = image if isinstance(image, Image.Image) else Image.fromarray(image)
        return resizing.model_pixels(image, side)[0]

    def fast(image: Image.Image) -> Any:
        return resizing.model_pixels(image, side, is_exact=False)[0]

    def scaled() -> Image.Image:
        return codec.decode_scaled(data, side, MOST)[0]

    def whole() -> Image.Image:
        return codec.decode(data, MOST)

    found = {
        "exact: Pillow, Pillow": Decoder(whole, exact),
        "fast: Pillow's draft, PyTorch": Decoder(scaled, fast),
        "Pillow's draft, Pillow": Decoder(scaled, exact),
        "Pillow, PyTorch": Decoder(whole, fast),
        "Pillow, Pillow with reducing_gap=2": Decoder(whole, lambda i: _reducing(i, side)),
    }
    if _has("simplejpeg") and data.startswith(b"\xff\xd8"):
        found |= _simplejpeg(data, side, exact)
    if _has("turbojpeg") and data.startswith(b"\xff\xd8"):
        found |= _turbojpeg(data, exact)
    if _has("cv2"):
        found |= _opencv(data, side, exact)
    return found


def installed() -> dict[str, str | None]:
    """Versions of the decoders, and of libjpeg-turbo where it has one of its own."""
    names = ("pillow", "simplejpeg", "PyTurboJPEG", "opencv-python-headless")
    found: dict[str, str | None] = {"libjpeg-turbo": features.version("libjpeg_turbo")}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def _has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _reducing(image: Image.Image, side: int) -> Any:
    square = image.resize((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0)
    return np.asarray(square).transpose(2, 0, 1)


def _simplejpeg(data: bytes, side: int, exact: Callable[[Any], Any]) -> dict[str, Decoder]:
    import simplejpeg

    def quick() -> Any:
        return simplejpeg.decode_jpeg(data, fastdct=True, fastupsample=True)

    return {
        "simplejpeg, Pillow": Decoder(lambda: simplejpeg.decode_jpeg(data), exact),
        "simplejpeg with fast DCT and upsampling, Pillow": Decoder(quick, exact),
        "simplejpeg scaled, Pillow": Decoder(
            lambda: simplejpeg.decode_jpeg(data, min_width=side, min_height=side), exact
        ),
    }


def _turbojpeg(data: bytes, exact: Callable[[Any], Any]) -> dict[str, Decoder]:
    import turbojpeg

    try:
        library = turbojpeg.TurboJPEG()
    except (RuntimeError, OSError) as error:
        print(f"PyTurboJPEG takes no part: {error}")
        return {}
    return {
        "PyTurboJPEG, Pillow": Decoder(
            lambda: library.decode(data, pixel_format=turbojpeg.TJPF_RGB), exact
        )
    }


def _opencv(data: bytes, side: int, exact: Callable[[Any], Any]) -> dict[str, Decoder]:
    import cv2

    cv2.setNumThreads(1)
    encoded = np.frombuffer(data, np.uint8)

    def decode() -> Any:
        return cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB)

    def area(image: Any) -> Any:
        way = cv2.INTER_AREA if min(image.shape[:2]) > side else cv2.INTER_CUBIC
        return cv2.resize(image, (side, side), interpolation=way).transpose(2, 0, 1)

    return {
        "OpenCV, Pillow": Decoder(decode, exact),
        "OpenCV, OpenCV by areas": Decoder(decode, area),
    }
