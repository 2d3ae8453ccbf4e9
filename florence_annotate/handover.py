"""Batches of pictures from reader processes to the job, by memory that both can see.

Only a small number then goes through the DataLoader's pipe, which takes it whole or not at all
(POSIX: writes of up to 512 bytes). With pixels in the pipe, a reader that dies while it writes
leaves the job waiting for the other half of its message.
"""

import pickle
import struct
from multiprocessing.heap import BufferWrapper
from typing import Any

import numpy as np

from florence_annotate.types import Failure, ImageRef, Loaded, Picture

_ROOM_FOR_FACTS = 8192
"""Bytes a picture for its hash and size, or for what was wrong with it."""
_LONGEST_MESSAGE = 1000
"""Characters of an error; with up to four bytes each they leave room for the rest."""
_LENGTH = struct.Struct("<Q")


class Handover:
    """`slots` places in shared memory, each for a batch of at most `batch_size` pictures.

    The memory lies in /dev/shm where that is large enough, in the folder for temporary files
    otherwise; it takes room only once it is written to, and is gone with the last process that has
    it, however that ends.
    """

    def __init__(self, slots: int, batch_size: int, image_size: int) -> None:
        self._shape = (batch_size, 3, image_size, image_size)
        self._pixels_size = batch_size * 3 * image_size**2
        self._slot_size = self._pixels_size + _LENGTH.size + batch_size * _ROOM_FOR_FACTS
        self._memory = BufferWrapper(slots * self._slot_size)

    def put(self, slot: int, loaded: list[Loaded]) -> None:
        """Write a batch: the reader's side."""
        pixels, rest = self._views(slot)
        facts: list[tuple[Any, ...]] = []
        for place, one in enumerate(loaded):
            if isinstance(one, Failure):
                facts.append((one.stage, one.kind, one.message[:_LONGEST_MESSAGE]))
            else:
                pixels[place] = one.pixels
                facts.append((place, one.sha, one.width, one.height))
        data = pickle.dumps(facts)
        _LENGTH.pack_into(rest, 0, len(data))
        rest[_LENGTH.size : _LENGTH.size + len(data)] = data

    def take(self, slot: int, refs: list[ImageRef]) -> list[Loaded]:
        """A copy of the batch that was asked for by `refs`: the job's side."""
        pixels, rest = self._views(slot)
        (length,) = _LENGTH.unpack_from(rest, 0)
        facts = pickle.loads(rest[_LENGTH.size : _LENGTH.size + length])
        return [
            Failure(ref, *fact)
            if isinstance(fact[0], str)
            else Picture(ref, fact[1], pixels[fact[0]].copy(), fact[2], fact[3])
            for ref, fact in zip(refs, facts, strict=True)
        ]

    def _views(self, slot: int) -> tuple[Any, memoryview]:
        """The slot's pixels, uint8, shape (batch size, 3, S, S), and the bytes behind them."""
        start = slot * self._slot_size
        whole = self._memory.create_memoryview()[start : start + self._slot_size]
        pixels = np.frombuffer(whole[: self._pixels_size], np.uint8).reshape(self._shape)
        return pixels, whole[self._pixels_size :]
