"""Small pictures of the images, made in several processes, and kept by the hash of the image."""

import base64
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from itertools import islice
from pathlib import Path
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
_AT_ONCE = 16
"""Images that a process is given together."""
_JPEG = b"\xff\xd8"
"""What every JPEG begins with."""

Task = tuple[str, bytes, int]
"""The name of a thumbnail, the path of its image, and how many pixels that has."""


class Making(NamedTuple):
    """The thumbnails of some images, on their way."""

    names: list[str | None]
    """Of each image; None where it has none."""
    batches: list[list[Task]]
    futures: list["Future[dict[str, bytes]]"]


class Thumbnails:
    """Those of one report. Use it as a context: processes are started once they are needed."""

    def __init__(
        self,
        find: Callable[[AnnotatedImage], Path | None],
        kept: Folder | None,
        beside: str | None = None,
    ) -> None:
        """`find` gives the file of an image as it was annotated; `kept` has those of earlier
        reports; `beside` is the name of that folder where the page takes them from there. Without
        it they are put into the page itself."""
        self._find = find
        self._kept = kept
        self._beside = beside
        self._pool: ProcessPoolExecutor | None = None
        self.needed: set[str] = set()
        """Names in the folder."""
        self.made = 0
        self.taken = 0
        """From an earlier report."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def begin(self, images: Sequence[AnnotatedImage | None]) -> Making:
        """Begin to make what is not there; None stands for an image that can't be read."""
        names: list[str | None] = []
        tasks: dict[str, Task] = {}
        for image in images:
            name = None if image is None else f"thumbnails/{image.sha[:2]}/{image.sha}.jpg"
            if image is None or name is None or name in tasks:
                names.append(name)
                continue
            if not self._is_kept(name):
                path = self._find(image)
                if path is None:
                    names.append(None)
                    continue
                tasks[name] = (name, os.fsencode(path), image.width * image.height)
            names.append(name)
        waiting = iter(tasks.values())
        batches = list(iter(lambda: list(islice(waiting, _AT_ONCE)), []))
        return Making(names, batches, [self._submit(batch) for batch in batches])

    def finish(self, making: Making) -> Iterator[str | None]:
        """The address of each thumbnail; None where an image has none."""
        made: dict[str, bytes] = {}
        for batch, future in zip(making.batches, making.futures, strict=True):
            try:
                made |= future.result()
            except BrokenProcessPool:  # a decoder died, and with it what was under way
                self._pool = None
                with suppress(BrokenProcessPool):
                    made |= self._submit(batch).result()
        self.made += len(made)
        if self._kept is not None:
            for name, data in made.items():
                self._kept.write(name, data)
        for wanted in making.names:
            yield None if wanted is None else self._address(wanted, made.get(wanted))

    def _is_kept(self, name: str) -> bool:
        return self._kept is not None and self._kept.has(name)

    def _address(self, name: str, data: bytes | None) -> str | None:
        if data is None:
            if not self._is_kept(name):
                return None  # it could not be made
            self.taken += 1
        self.needed.add(name)
        if self._beside is not None:
            return quote(f"{self._beside}/{name}")
        if data is None:
            assert self._kept is not None
            data = self._kept.read(name)
        if data is None or not data.startswith(_JPEG):
            return None
        return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"

    def _submit(self, batch: list[Task]) -> "Future[dict[str, bytes]]":
        if self._pool is not None:
            with suppress(BrokenProcessPool):
                return self._pool.submit(make, batch)
        methods = multiprocessing.get_all_start_methods()
        # a process that is forked off another one with threads may hang
        context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
        self._pool = ProcessPoolExecutor(cores.available(), context, _leave_signals_to_parent)
        return self._pool.submit(make, batch)


def _leave_signals_to_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def make(tasks: Sequence[Task]) -> dict[str, bytes]:
    """JPEG by name; an image that can't be read is left out."""
    made = {}
    for name, path, pixels in tasks:
        try:
            small = codec.decode_small(codec.read_bytes(path), SIDE, pixels)
        except codec.UnreadableImageError:
            continue
        made[name] = codec.encode(small, ".jpg", _QUALITY)
    return made
