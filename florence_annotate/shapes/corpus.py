"""Training scenes, painted beforehand and kept at the model's input size.

Painting takes longer than a training step can wait, so a run paints its scenes once, on all
cores, into arrays on disk. The pixels are made as at inference: painted in full size, then
squashed to the square by Pillow's bicubic filter.
"""

from __future__ import annotations

import functools
import multiprocessing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..errors import UsageError
from . import COLOURS, FIRST_HELD_OUT_SEED, INPUT_SIZE, MAX_OBJECTS, SHAPES
from .scenes import Scene, paint
from .targets import Target, to_bin

_FIELDS = 6  # shape, colour, four bins; -1 where a scene has fewer objects


@dataclass(frozen=True, slots=True)
class Corpus:
    """Scenes as arrays: ``pixels`` is ``uint8 (N, S, S, 3)``, ``objects`` ``int16 (N, 8, 6)``."""

    pixels: npt.NDArray[np.uint8]
    objects: npt.NDArray[np.int16]
    _by_count: dict[tuple[int, int], list[int]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.pixels)

    def with_objects(self, least: int, most: int) -> Sequence[int]:
        """The indices of the scenes with so many objects, both limits included."""
        if (least, most) not in self._by_count:
            counts = (self.objects[:, :, 0] >= 0).sum(1)
            fitting = (counts >= least) & (counts <= most)
            self._by_count[least, most] = np.flatnonzero(fitting).tolist()
        return self._by_count[least, most]

    def targets(self, index: int, *, mirrored: bool = False) -> list[Target]:
        """The objects of one scene, as they are after a left-right flip where ``mirrored``."""
        found = []
        for shape, colour, x1, y1, x2, y2 in self.objects[index].tolist():
            if shape >= 0:
                if mirrored:
                    x1, x2 = 999 - x2, 999 - x1
                found.append(Target(SHAPES[shape], COLOURS[colour], (x1, y1, x2, y2)))
        return found


def check_trainable(first_seed: int, count: int) -> None:
    """Refuse seeds that are kept for measurements.

    Raises:
        UsageError: If a seed lies outside 0 to one million.
    """
    if first_seed < 0 or first_seed + count > FIRST_HELD_OUT_SEED:
        raise UsageError(
            f"seeds {first_seed} to {first_seed + count - 1} are not for training: "
            f"only those below {FIRST_HELD_OUT_SEED} are; use a lower first seed or fewer scenes"
        )


def prepare(
    folder: Path,
    *,
    first_seed: int,
    count: int,
    max_objects: int = MAX_OBJECTS,
    empty_rate: float = 0.0,
    processes: int = 2,
) -> Corpus:
    """Paint training scenes, or open them where an earlier call with the same values left them.

    Args:
        folder: Where the arrays are kept.
        first_seed: Seed of the first scene; the others follow.
        count: Number of scenes.
        max_objects: Passed on to :func:`~florence_annotate.shapes.scenes.paint`.
        empty_rate: Passed on likewise.
        processes: Number of painting processes.

    Raises:
        UsageError: If a seed is kept for measurements.
    """
    check_trainable(first_seed, count)
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{first_seed}-{count}-max{max_objects}-empty{empty_rate}-{INPUT_SIZE}px"
    pixels_file, objects_file = folder / f"{stem}.pixels.npy", folder / f"{stem}.objects.npy"
    # The objects are written last, so their file says that the pixels are complete.
    if not objects_file.exists():
        pixels = np.lib.format.open_memmap(
            pixels_file, "w+", np.uint8, (count, INPUT_SIZE, INPUT_SIZE, 3)
        )
        objects = np.full((count, MAX_OBJECTS, _FIELDS), -1, np.int16)
        seeds = range(first_seed, first_seed + count)
        for row, (square, fields) in enumerate(_painted(seeds, max_objects, empty_rate, processes)):
            pixels[row] = square
            objects[row, : len(fields)] = fields
        pixels.flush()
        np.save(objects_file, objects)
    return Corpus(np.load(pixels_file, mmap_mode="r"), np.load(objects_file))


def squash(image: Image.Image) -> npt.NDArray[np.uint8]:
    """The picture at the model's input size, ``uint8 (S, S, 3)``."""
    return np.asarray(image.resize((INPUT_SIZE, INPUT_SIZE), Image.Resampling.BICUBIC))


def scene_targets(scene: Scene) -> list[Target]:
    """The objects of a scene with their boxes as location bins."""
    width, height = scene.image.size
    return [
        Target(
            o.shape,
            o.colour,
            (
                to_bin(o.box[0], width),
                to_bin(o.box[1], height),
                to_bin(o.box[2], width),
                to_bin(o.box[3], height),
            ),
        )
        for o in scene.objects
    ]


_Row = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int16]]


def _painted(seeds: range, max_objects: int, empty_rate: float, processes: int) -> Iterator[_Row]:
    work = functools.partial(_paint_one, max_objects=max_objects, empty_rate=empty_rate)
    if processes < 2:
        yield from map(work, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap(work, seeds, chunksize=64)


def _paint_one(seed: int, max_objects: int, empty_rate: float) -> _Row:
    scene = paint(seed, max_objects=max_objects, empty_rate=empty_rate)
    fields = [
        (SHAPES.index(t.shape), COLOURS.index(t.colour), *t.bins) for t in scene_targets(scene)
    ]
    return squash(scene.image), np.array(fields, np.int16).reshape(-1, _FIELDS)
