"""Hands batches of images from the processes that read them to the job, by shared memory.

Only the number of a slot goes through the DataLoader's pipe, and so small a message is written
whole or not at all (POSIX: writes of up to 512 bytes). If pixels went through the pipe, a process
that dies while it writes would leave the job waiting for the rest of its message for ever.
"""

import mmap
import os
import pickle
import struct
import tempfile
import weakref
from multiprocessing.reduction import DupFd
from typing import Any

import numpy as np

from florence_annotate.errors import DeviceError
from florence_annotate.types import Failure, ImageRef, Loaded, Picture

_ROOM_FOR_FACTS = 8192
"""Bytes for the hash and the size of an image, or for what was wrong with it."""
_ROOM_FOR_TILE = 64
"""Bytes for the corners of a tile."""
_LONGEST_MESSAGE = 1000
"""Characters of an error that are kept; of four bytes each they still fit with the rest."""
_LENGTH = struct.Struct("<Q")


class Handover:
    """Slots in shared memory, each of which holds one batch of images.

    The memory takes room only once it is written to. It is gone with the last process that has it,
    however that process ends.
    """

    def __init__(self, slots: int, batch_size: int, views: int, image_size: int) -> None:
        """`batch_size`: the most images of a batch; `views`: the most views of an image."""
        self._shape = (batch_size * views, 3, image_size, image_size)
        self._pixels_size = batch_size * views * 3 * image_size**2
        room = _ROOM_FOR_FACTS + views * _ROOM_FOR_TILE
        self._slot_size = self._pixels_size + _LENGTH.size + batch_size * room
        self._memory = _Memory(slots * self._slot_size)

    def put(self, slot: int, loaded: list[Loaded]) -> None:
        """Write a batch to a slot, in the process that read the images."""
        pixels, rest = self._views(slot)
        facts: list[tuple[Any, ...]] = []
        end = 0
        for one in loaded:
            if isinstance(one, Failure):
                facts.append((one.stage, one.kind, one.message[:_LONGEST_MESSAGE]))
            else:
                start, end = end, end + len(one.pixels)
                pixels[start:end] = one.pixels
                facts.append((start, end, one.sha, one.width, one.height, one.tiles))
        data = pickle.dumps(facts)
        _LENGTH.pack_into(rest, 0, len(data))
        rest[_LENGTH.size : _LENGTH.size + len(data)] = data

    def take(self, slot: int, refs: list[ImageRef]) -> list[Loaded]:
        """A copy of the batch in a slot, in the job's process; `refs` are those of its images."""
        pixels, rest = self._views(slot)
        (length,) = _LENGTH.unpack_from(rest, 0)
        facts = pickle.loads(rest[_LENGTH.size : _LENGTH.size + length])
        return [
            Failure(ref, *fact)
            if isinstance(fact[0], str)
            else Picture(ref, fact[2], pixels[fact[0] : fact[1]].copy(), *fact[3:])
            for ref, fact in zip(refs, facts, strict=True)
        ]

    def _views(self, slot: int) -> tuple[Any, memoryview]:
        """A slot's pixels, uint8, (batch size · views, 3, S, S), and the bytes behind them."""
        start = slot * self._slot_size
        whole = memoryview(self._memory.map)[start : start + self._slot_size]
        pixels = np.frombuffer(whole[: self._pixels_size], np.uint8).reshape(self._shape)
        return pixels, whole[self._pixels_size :]


class _Memory:
    """A file without a name, mapped by every process; in memory where the system has such files.

    Not in /dev/shm, which containers keep small.
    """

    def __init__(self, size: int, descriptor: int | None = None) -> None:
        """`size` in bytes; `descriptor` is that of a file that another process made."""
        try:
            if descriptor is None:
                descriptor = _nameless_file()
                os.ftruncate(descriptor, size)
            self.map = mmap.mmap(descriptor, size)
        except OSError as error:
            raise DeviceError(
                f"no {size / 2**30:.1f} GiB of addresses to hand images over in ({error}): give "
                "fewer --workers, a smaller --batch-size or larger --tiles, or raise ulimit -v"
            ) from error
        self._size, self._descriptor = size, descriptor
        weakref.finalize(self, os.close, descriptor)

    def __reduce__(self) -> tuple[Any, ...]:
        """How the memory is sent to a process that starts: its size and its file descriptor."""
        return _from_descriptor, (self._size, DupFd(self._descriptor))


def _from_descriptor(size: int, sent: Any) -> _Memory:
    return _Memory(size, sent.detach())


def _nameless_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("florence-annotate")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
