"""One image: bytes → upright 8-bit RGB, resized for the model, or encoded again.

It is Pillow that does it, but for one way of resizing.

Values keep their meaning: 16-bit grey is scaled to 8 bits, not cut; CMYK, palettes and grey become
RGB; an alpha channel is removed without blending, as the readers of training frameworks do. Of
an animation or a file with several pages, the first one counts.
"""

import hashlib
import io
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any, BinaryIO

from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from florence_annotate import user_files

SUFFIXES = frozenset(
    {".avif", ".avifs", ".bmp", ".dib", ".gif", ".heic", ".heif", ".j2k", ".jfif", ".jp2"}
    | {".jpe", ".jpeg", ".jpg", ".jpx", ".mpo", ".pbm", ".pcx", ".pgm", ".png", ".pnm", ".ppm"}
    | {".qoi", ".tga", ".tif", ".tiff", ".webp"}
)
"""File name endings, in lower case, by which images in a folder are recognised."""

_FORMATS = (
    *("JPEG", "PNG", "BMP", "DIB", "GIF", "PPM", "MPO", "WEBP", "TIFF", "AVIF", "JPEG2000"),
    *("PCX", "QOI", "HEIF", "TGA"),  # TGA begins with nothing of its own, so it is tried last
)
"""Those that are decoded, by Pillow's names; HEIF where pillow-heif has been registered.

Nothing else is, whatever a file is named: an ICO or ICNS says one size and decodes to another, and
PostScript is a program that Ghostscript would run.
"""

DEFAULT_MAX_PIXELS = 178_956_970
"""The limit at which Pillow itself refuses: twice its `MAX_IMAGE_PIXELS`, half a gigabyte."""

_BYTES_A_PIXEL = 6
"""Of memory, as an image is read: measured at 200 million pixels (docs/scale.md, large inputs)."""

_JPEG_END = b"\xff\xd9"
_LYING = range(5, 9)
"""The EXIF orientations of images that are stored with their height as their width."""


class UnreadableImageError(Exception):
    """An image that can't be read; `kind` is the short name for `types.Failure`."""

    def __init__(self, stage: str, kind: str, message: str) -> None:
        super().__init__(message)
        self.stage = stage
        self.kind = kind


def read_bytes(path: bytes) -> bytes:
    """The bytes of an image's file. Raises UnreadableImageError."""
    try:
        data = user_files.read_bytes(path, user_files.LARGE)
    except user_files.UnreadableFileError as error:
        raise UnreadableImageError("read", error.kind, str(error)) from error
    if not data:
        raise UnreadableImageError("read", "empty", "the file is empty")
    return data


def digest(data: bytes) -> str:
    """The SHA-256 of some bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def decode(data: bytes, max_pixels: int = DEFAULT_MAX_PIXELS) -> Image.Image:
    """The image as a viewer shows it: first frame, EXIF orientation applied, 8-bit RGB.

    Raises UnreadableImageError for what Pillow can't decode, for formats that are not read here,
    and above `max_pixels`.
    """
    with _NO_LIMIT_OF_PILLOW, _explained():
        return _as_rgb(_upright(_open_within(data, max_pixels)))


def decode_scaled(data: bytes, side: int, max_pixels: int) -> tuple[Image.Image, tuple[int, int]]:
    """The same, and its true width and height; of a JPEG no more is decoded than a square takes.

    That is a half, a quarter or an eighth of it, of which no side is shorter than `side`. libjpeg
    then skips most of its work; other formats are decoded whole.
    """
    with _NO_LIMIT_OF_PILLOW, _explained():
        image = _open_within(data, max_pixels)
        stored = image.size
        image.draft(None, (side, side))
        scaled = _as_rgb(_upright(image))
        return scaled, stored[::-1] if orientation(image) in _LYING else stored


def decode_small(data: bytes, side: int, max_pixels: int) -> Image.Image:
    """The same, reduced so that no side is longer than `side`."""
    small, _ = decode_scaled(data, side, max_pixels)
    small.thumbnail((side, side))
    return small


def _open_within(data: bytes, max_pixels: int) -> Image.Image:
    image: Image.Image = _open(io.BytesIO(data))
    pixels = image.width * image.height
    if pixels > max_pixels:
        raise UnreadableImageError(
            "decode",
            "too-large",
            f"{image.width}x{image.height} pixels are more than --max-pixels {max_pixels}: if you "
            f"trust the file, --retry-failed --max-pixels {pixels} reads it, where there are "
            f"{pixels * _BYTES_A_PIXEL / 1e9:,.1f} GB of memory for it",
        )
    return image


def upright_rgb(image: Image.Image) -> Image.Image:
    """An image that Pillow has opened, upright, as 8-bit RGB. Raises UnreadableImageError."""
    with _explained():
        return _as_rgb(_upright(image))


def _open(file: BinaryIO) -> Image.Image:
    """An image in one of the formats that are read here; no pixel of it is decoded yet."""
    Image.init()  # else Pillow knows its commonest formats alone
    try:
        return Image.open(file, formats=[name for name in _FORMATS if name in Image.OPEN])
    except UnidentifiedImageError as error:
        file.seek(0)
        other = _other_format(file.read(16).ljust(16))
        if other is None:
            raise
        message = f"it is {other}, which is not read here: convert it to PNG or JPEG"
        raise UnreadableImageError("decode", "other-format", message) from error


def _other_format(beginning: bytes) -> str | None:
    """The format that a file is in, by its first 16 bytes, where it is none of `_FORMATS`."""
    if "HEIF" not in Image.OPEN and beginning[4:12] in (b"ftypheic", b"ftypheix"):
        return "HEIF"  # what phones write; Pillow knows nothing of it by itself
    for name, (_, accepts) in Image.OPEN.items():
        if name not in _FORMATS and accepts and accepts(beginning) is True:
            return name
    return None


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what decoders raise on broken files, nearly anything, into UnreadableImageError."""
    try:
        yield
    except UnreadableImageError:
        raise
    except UnidentifiedImageError as error:
        message = "it is no image in a format that is read here"
        raise UnreadableImageError("decode", "not-an-image", message) from error
    except MemoryError as error:
        message = "not enough memory to decode it"
        raise UnreadableImageError("decode", "out-of-memory", message) from error
    except Exception as error:
        kind = "truncated" if "truncated" in str(error) else "corrupt"
        message = f"{type(error).__name__}: {error}"
        raise UnreadableImageError("decode", kind, message) from error


class _NoLimitOfPillow:
    """Silences Pillow's warnings, and its refusal of large images, which `max_pixels` decides.

    Both are of the whole process: the last thread that is within gives them back.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._within = 0
        self._before = ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if not self._within:
                self._before.callback(setattr, Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
                self._before.enter_context(warnings.catch_warnings())
                warnings.simplefilter("ignore")
                Image.MAX_IMAGE_PIXELS = None
            self._within += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._within -= 1
            if not self._within:
                self._before.close()


_NO_LIMIT_OF_PILLOW = _NoLimitOfPillow()


def _upright(image: Image.Image) -> Image.Image:
    image.load()
    return image if orientation(image) == 1 else ImageOps.exif_transpose(image)


def orientation(
    image: Image.Image, exif_of: Callable[[Any], Image.Exif] = lambda image: image.getexif()
) -> int:
    """The EXIF orientation, 1 to 8; 1 (upright) where there is none that can be read."""
    try:
        value = exif_of(image).get(ExifTags.Base.Orientation, 1)
    except Exception:  # broken metadata is no reason to refuse the pixels
        return 1
    return value if value in range(1, 9) else 1


def _as_rgb(image: Image.Image) -> Image.Image:
    """The image as 8-bit RGB, its values scaled where they have more bits.

    Raises UnreadableImageError for pixels without a fixed range (float, or over 16 bits).
    """
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I"):
        import numpy as np

        values = np.asarray(image).astype(np.int64)
        if values.min(initial=0) < 0 or values.max(initial=0) > 0xFFFF:
            raise UnreadableImageError("decode", "depth", "its pixels have more than 16 bits")
        grey = ((values + 128) // 257).astype(np.uint8)  # 65535 = 255 · 257, rounded to nearest
        return Image.fromarray(grey).convert("RGB")
    if image.mode == "F":
        message = "its pixels are floating-point numbers without a range: save it with 8 or 16 bits"
        raise UnreadableImageError("decode", "depth", message)
    if "transparency" in image.info:
        image = image.copy()
        del image.info["transparency"]
    return image.convert("RGB")


@dataclass(frozen=True, slots=True)
class LinkCheck:
    """Whether a dataset may hold a link to an original, or needs a file of its own."""

    is_upright: bool
    is_whole: bool
    """False for a JPEG that does not end in its end marker: ultralytics would write such a file
    anew, and through a link that would change the original."""


def check_for_link(path: bytes) -> LinkCheck:
    """Look at an original before a link to it is made.

    Raises UnreadableImageError where it can't be opened.
    """
    with _NO_LIMIT_OF_PILLOW:
        try:
            with open(path, "rb") as file, _open(file) as image:
                # that of a PNG decodes all pixels first, since the EXIF may stand behind them
                is_told = image.format == "PNG" and not _tells_more_behind_pixels(file)
                exif_of = Image.Image.getexif if is_told else type(image).getexif
                is_upright = orientation(image, exif_of) == 1
                is_jpeg = image.format in ("JPEG", "MPO")
                file.seek(-len(_JPEG_END), os.SEEK_END)
                return LinkCheck(is_upright, not is_jpeg or file.read() == _JPEG_END)
        except Exception as error:
            raise UnreadableImageError("read", "corrupt", str(error)) from error


def _tells_more_behind_pixels(file: BinaryIO) -> bool:
    """Whether a PNG has EXIF, or texts, which may hold EXIF too, behind its pixels; also where it
    ends before its end."""
    file.seek(len(b"\x89PNG\r\n\x1a\n"))
    is_behind = False
    while len(head := file.read(8)) == 8:
        kind = head[4:]
        is_behind |= kind == b"IDAT"
        if kind == b"IEND":
            return False
        if is_behind and kind in (b"eXIf", b"tEXt", b"zTXt", b"iTXt"):
            return True
        file.seek(int.from_bytes(head[:4], "big") + 4, os.SEEK_CUR)  # the content, and its CRC
    return True


def encode(image: Image.Image, suffix: str, quality: int | None = None) -> bytes:
    """An RGB image as the bytes of a file, without metadata.

    `suffix` is a file name's ending, such as `.png`, and says the format; raises KeyError for one
    that Pillow does not know. JPEG is written at quality 95 without subsampling, or at a `quality`
    with it, WebP without loss.
    """
    buffer = io.BytesIO()
    format_name = Image.registered_extensions()[suffix.lower()]
    options: dict[str, Any] = {}
    if format_name in ("JPEG", "MPO"):
        format_name = "JPEG"
        options = {"quality": quality} if quality else {"quality": 95, "subsampling": 0}
    elif format_name == "WEBP":
        options = {"lossless": True}
    clean = Image.new("RGB", image.size)
    clean.paste(image)
    clean.save(buffer, format_name, **options)
    return buffer.getvalue()
