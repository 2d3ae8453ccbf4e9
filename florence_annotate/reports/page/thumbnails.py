"""Small pictures of the images, made by several threads, and kept by the hash of the image."""

import base64
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import NamedTuple, Self
from urllib.parse import quote

from florence_annotate import cores
from florence_annotate.dataset.annotated_image import AnnotatedImage
from florence_annotate.images import codec
from florence_annotate.reports.page.folder import Folder

SIDE = 320
"""Pixels of the longer side."""
_QUALITY = 80
_JPEG = b"\xff\xd8"
"""What every JPEG begins with."""


class Making(NamedTuple):
    """The thumbnails of some images, on their way."""

    names: list[str | None]
    """Of each image; None where it has none."""
    made: dict[str, "Future[bytes | None]"]


class Thumbnails:
    """Those of one report. Use it as a context."""

    def __init__(
        self,
        find: Callable[[AnnotatedImage], str | None],
        kept: Folder | None,
        beside: str | None = None,
    ) -> None:
        """`find` gives the file of an image as it was annotated; `kept` has those of earlier
        reports; `beside` is the name of that folder where the page takes them from there. Without
        it they are put into the page itself."""
        self._find = find
        self._kept = kept
        self._beside = beside
        self._threads = ThreadPoolExecutor(cores.available())  # Pillow works without the GIL
        self._under_way: dict[str, Future[bytes | None]] = {}
        self.needed: set[str] = set()
        """Names in the folder of all that the page has."""
        self.made = 0
        """Those that were not there."""
        self.missing = 0
        """Images without one, whose files are gone or were changed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._threads.shutdown(cancel_futures=True)

    def begin(self, images: Sequence[AnnotatedImage | None]) -> Making:
        """Begin to make what is not there; None stands for an image that can't be read."""
        making = Making([], {})
        for image in images:
            name = None if image is None else f"thumbnails/{image.sha[:2]}/{image.sha}.jpg"
            making.names.append(name)
            if image is None or name is None or name in making.made:
                continue
            if name not in self._under_way:
                if self._is_kept(name) or (path := self._find(image)) is None:
                    continue
                pixels = image.width * image.height
                self._under_way[name] = self._threads.submit(_make, os.fsencode(path), pixels)
            making.made[name] = self._under_way[name]
        return making

    def finish(self, making: Making) -> Iterator[str | None]:
        """The address of each thumbnail; None where an image has none. Raises OutputError."""
        made = {name: data for name, future in making.made.items() if (data := future.result())}
        for name in making.made:
            self._under_way.pop(name, None)
        for name in made.keys() - self.needed:  # others were finished with images before
            self.made += 1
            if self._kept is not None:
                self._kept.write(name, made[name])
        for wanted in making.names:
            address = None if wanted is None else self._address(wanted, made.get(wanted))
            self.missing += wanted is not None and address is None
            yield address

    def _is_kept(self, name: str) -> bool:
        if self._beside is None:
            return self._read(name) is not None
        return self._kept is not None and self._kept.has(name)

    def _read(self, name: str) -> bytes | None:
        data = None if self._kept is None else self._kept.read(name)
        return data if data and data.startswith(_JPEG) else None

    def _address(self, name: str, made: bytes | None) -> str | None:
        if self._beside is None:
            data = made or self._read(name)
            if data is None:
                return None
            address = f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"
        elif made is None and not self._is_kept(name):
            return None
        else:
            address = quote(os.fsencode(f"{self._beside}/{name}"))
        self.needed.add(name)
        return address


def _make(path: bytes, pixels: int) -> bytes | None:
    """A JPEG of an image that has so many pixels; None where it can't be read."""
    try:
        small = codec.decode_small(codec.read_bytes(path), SIDE, pixels)
    except codec.UnreadableImageError:
        return None
    return codec.encode(small, ".jpg", _QUALITY)
