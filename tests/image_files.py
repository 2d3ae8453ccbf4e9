"""Bytes of image files, odd ones among them."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def encoded(image: Image.Image, format_name: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_name, **options)
    return buffer.getvalue()


def grey16(values: np.ndarray) -> bytes:
    """A 16-bit grey PNG."""
    return encoded(Image.fromarray(values.astype(np.uint16)), "PNG")


def bomb(side: int) -> bytes:
    """A PNG that says it has side² pixels, and holds none of them."""

    def chunk(name: bytes, content: bytes) -> bytes:
        body = name + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
