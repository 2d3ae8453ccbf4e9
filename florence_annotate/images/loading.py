"""Refs → `Picture`s, by a torch DataLoader: read, hash, decode, resize, in worker processes.

An image that can't be read comes out as a `Failure`. So does one whose decoder dies or hangs: the
images that were being read are then read again one at a time, so that only the harmful one fails.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from florence_annotate import cores
from florence_annotate.images import codec, resizing
from florence_annotate.images.shared_memory import Handover
from florence_annotate.images.tiles import MOST_TILES, Tiling
from florence_annotate.types import Failure, ImageRef, Loaded, Picture

_MOST_AT_ONCE = 16
"""Images that a worker reads as one batch."""
_PREFETCH = 2
"""Batches that a worker is given ahead of those that came back."""
_POLL_SECONDS = 2.0
"""How long the loader is waited for before it is asked whether its processes live."""
_WATCH_SECONDS = 0.5
"""How often a worker looks whether the job is still there."""


def default_workers() -> int:
    """How many processes read images on this machine; see `workers_of`."""
    return workers_of(cores.available())


def workers_of(count: int) -> int:
    """One process for each of these cores but one, which is left to the model; at most sixteen."""
    return max(1, min(16, count - 1))


@dataclass(frozen=True, slots=True)
class LoadingOptions:
    """How images are read."""

    image_size: int
    """Side of the model's square input, in pixels."""
    batch_size: int
    workers: int
    """Processes that decode; 0 decodes in this one, without protection against hanging decoders."""
    max_pixels: int = codec.DEFAULT_MAX_PIXELS
    tiling: Tiling | None = None
    is_exact: bool = True
    """Whether all pixels are decoded and Pillow resizes them; for what is faster, see
    `codec.decode_scaled` and `resizing.model_pixels`. Tiles show what is small: for them all are
    decoded."""
    time_limit: float = 60.0
    """Seconds for a batch, before its images are read one by one, and then for each of them."""

    @property
    def images_at_once(self) -> int:
        """How many images a worker reads as one batch: with tiles one, as many take gigabytes.

        No more than a few: the batch of a large GPU would keep one worker busy for seconds, at the
        start and in a small job, while others have none.
        """
        return 1 if self.tiling else min(self.batch_size, _MOST_AT_ONCE)

    @property
    def images_ahead(self) -> int:
        """How many images the workers are given before the first of them is taken."""
        return self.workers * _PREFETCH * self.images_at_once


Batch = tuple[int, list[ImageRef]]
"""The slot of the handover that a batch goes to, and the images to read."""


class BatchDataset(Dataset[int]):
    """Indexed by batches of refs, so that a job of any length is never held in memory.

    An item is the number of the slot, in the handover, that then holds the batch.
    """

    def __init__(self, options: LoadingOptions, handover: Handover) -> None:
        self.options = options
        self.handover = handover

    def __getitem__(self, batch: Batch) -> int:
        slot, refs = batch
        self.handover.put(slot, [load(ref, self.options) for ref in refs])
        return slot


def load(ref: ImageRef, options: LoadingOptions) -> Loaded:
    """Read one image; a `Failure` where it can't be read."""
    try:
        return decode(ref, codec.read_bytes(ref.path), options)
    except codec.UnreadableImageError as error:
        return Failure(ref, error.stage, error.kind, str(error))


def decode(ref: ImageRef, data: bytes, options: LoadingOptions) -> Loaded:
    """An image whose file holds these bytes. Raises UnreadableImageError."""
    if options.is_exact or options.tiling:
        image = codec.decode(data, options.max_pixels)
        return as_picture(ref, codec.digest(data), image, options)
    image, size = codec.decode_scaled(data, options.image_size, options.max_pixels)
    pixels = resizing.model_pixels(image, options.image_size, is_exact=False)
    return Picture(ref, codec.digest(data), pixels, *size)


def as_picture(ref: ImageRef, sha: str, image: Image.Image, options: LoadingOptions) -> Loaded:
    """A decoded image as the model takes it; a `Failure` where it would have too many tiles."""
    tiles = options.tiling.cut(image.width, image.height) if options.tiling else []
    if len(tiles) > MOST_TILES:
        message = f"{len(tiles)} tiles, and {MOST_TILES} are the most: choose larger ones (--tiles)"
        return Failure(ref, "decode", "too-many-tiles", message)
    pixels = resizing.model_pixels(image, options.image_size, tiles, is_exact=options.is_exact)
    return Picture(ref, sha, pixels, image.width, image.height, tuple(tiles))


def load_batches(refs: Iterable[ImageRef], options: LoadingOptions) -> Iterator[list[Loaded]]:
    """Read images in batches of at most `images_at_once`, in their order; each comes out once."""
    batches = _Batches(iter(refs), options.images_at_once)
    while True:
        with suppress(_LoaderDiedError):
            yield from _load(batches, options)
            return
        yield from _load_one_by_one(batches.take_outstanding(), options)


class _LoaderDiedError(Exception):
    """A worker process died, or gave no sign of life for too long."""


class _Batches:
    """The refs in batches; it remembers which were handed out and have not come back."""

    def __init__(self, refs: Iterator[ImageRef], batch_size: int) -> None:
        self._refs = refs
        self._batch_size = batch_size
        self._outstanding: list[list[ImageRef]] = []

    def __iter__(self) -> Iterator[list[ImageRef]]:
        while batch := [ref for _, ref in zip(range(self._batch_size), self._refs, strict=False)]:
            self._outstanding.append(batch)
            yield batch

    def came_back(self) -> list[ImageRef]:
        return self._outstanding.pop(0)

    def take_outstanding(self) -> list[ImageRef]:
        refs = [ref for batch in self._outstanding for ref in batch]
        self._outstanding.clear()
        return refs


def _load(
    batches: _Batches, options: LoadingOptions, prefetch: int = _PREFETCH
) -> Iterator[list[Loaded]]:
    if options.workers == 0:
        for batch in batches:
            loaded = [load(ref, options) for ref in batch]
            batches.came_back()
            yield loaded
        return
    # one more than are ahead: the loader hands out the next batch before it returns one
    slots = options.workers * prefetch + 1
    views = 1 + (options.tiling.most if options.tiling else 0)
    handover = Handover(slots, options.images_at_once, views, options.image_size)
    loader: DataLoader[int] = DataLoader(
        BatchDataset(options, handover),
        sampler=((index % slots, refs) for index, refs in enumerate(batches)),
        batch_size=None,
        num_workers=options.workers,
        timeout=_POLL_SECONDS,
        prefetch_factor=prefetch,
        worker_init_fn=_prepare_worker,
    )
    previous = signal.getsignal(signal.SIGCHLD) if hasattr(signal, "SIGCHLD") else None
    iterator = iter(loader)
    if previous is not None and _in_main_thread():
        # torch's handler would raise the death of a worker in whatever code runs at that moment,
        # a commit for instance; here `_next` notices it
        signal.signal(signal.SIGCHLD, previous)
    while True:
        try:
            slot = _next(iterator, options.time_limit)
        except StopIteration:
            return
        yield handover.take(slot, batches.came_back())


def _next(iterator: Any, time_limit: float) -> int:
    deadline = time.monotonic() + time_limit
    while True:
        try:
            slot: int = next(iterator)
            return slot
        except RuntimeError as error:
            is_alive = "timed out" in str(error)
            if not is_alive or time.monotonic() > deadline:
                raise _LoaderDiedError from error


def _load_one_by_one(refs: list[ImageRef], options: LoadingOptions) -> Iterator[list[Loaded]]:
    alone = replace(options, batch_size=1, workers=1)
    pending = list(refs)
    while pending:
        batches = _Batches(iter(tuple(pending)), 1)  # a copy: pending shrinks while it is read
        begun = time.monotonic()
        try:
            # an image is handed out when the one before has come back, so that one alone can fail
            for loaded in _load(batches, alone, prefetch=1):
                del pending[0]
                begun = time.monotonic()
                yield loaded
        except _LoaderDiedError:
            hung = time.monotonic() - begun >= options.time_limit
            kind = "hung" if hung else "crashed"
            message = (
                f"its decoder gave no answer for {options.time_limit:g} s"
                if hung
                else "its decoder crashed"
            )
            yield [Failure(pending.pop(0), "decode", kind, message)]


def _prepare_worker(worker_id: int) -> None:
    torch.set_num_threads(1)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the job decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the job's own handler was inherited


def _end_with(parent: int) -> None:
    """End this process when the job is gone; torch's own way would wait for a pipe nobody reads.

    The job is the parent where readers are forked. Where a fork server starts them, that is the
    parent, and lives as long as they do; multiprocessing then knows whose they are.
    """
    job = multiprocessing.parent_process()
    while os.getppid() == parent and (job is None or job.is_alive()):
        time.sleep(_WATCH_SECONDS)
    os._exit(1)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
