"""Actors for tests of the driver: what becomes of them is in the keys of images."""

import os
import socket
import time
from collections.abc import Iterator, Sequence
from typing import Any

from florence_annotate.engines.ray.worker import Exchange, Prepared, Worker
from florence_annotate.types import ImageRef, Record


class StandIn:
    """See `florence_annotate.engines.ray.worker.Worker`; each image takes so many seconds."""

    def __init__(self, seconds: float = 0.0, room: int = 4) -> None:
        self._seconds, self._room = seconds, room
        self._refs: list[ImageRef] = []

    def where(self) -> str:
        return socket.gethostname()

    def prepare(self) -> Prepared:
        return Prepared((f"process {os.getpid()}",), self._room)

    def exchange(self, refs: Sequence[ImageRef]) -> Exchange:
        self._refs += refs
        some, self._refs = self._refs[:2], self._refs[2:]
        for ref in some:
            time.sleep(self._seconds)
            if "kills" in ref.key:
                os._exit(1)
            if "raises" in ref.key:
                raise ValueError("a mistake\nof two lines")
        return Exchange([Record(ref, "", 1, 1, ()) for ref in some], 0.25, 0)


class Fragile(Worker):
    """A worker with a model, whose process does not survive some images."""

    def _until_none_is_left(self, first: ImageRef) -> Iterator[ImageRef]:
        for ref in super()._until_none_is_left(first):
            if "kills" in ref.key:
                os._exit(1)
            yield ref


class Stillborn(StandIn):
    """Dies as it is made ready."""

    def prepare(self) -> Any:
        os._exit(1)
