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


def icon(side: int) -> bytes:
    """An ICO that says it is 16 pixels wide, and holds a PNG of `side` pixels."""
    image = encoded(Image.new("RGB", (side, side)), "PNG")
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(image), 22) + image


POSTSCRIPT = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 20 20
%%EndComments
0 0 20 20 rectfill
showpage
"""
