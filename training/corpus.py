"""Training scenes, painted beforehand and kept at the model's input size.

Painting takes longer than a training step can wait, so a run paints its scenes once, in several
processes, into arrays on disk. The pixels are made as at inference: painted in full size, then
squashed to the square by Pillow's bicubic filter.
"""

import functools
import multiprocessing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from florence_annotate.errors import UsageError
from florence_annotate.shapes import COLOURS, FIRST_HELD_OUT_SEED, INPUT_SIZE, MAX_OBJECTS, SHAPES
from florence_annotate.shapes.scenes import MAX_WORDS, PRINTED_WORDS, paint
from training.truth import POLYGON_POINTS, PrintedWord, Target, Truth, mirrored, truth_of

_OBJECT_FIELDS = 2 + 4 + 2 * POLYGON_POINTS
"""Numbers of shape and colour, box, outline; -1 where there are fewer objects or points."""
_WORD_FIELDS = 1 + 4
"""Number of the word, and its box; -1 where there are fewer words."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Scenes as arrays."""

    pixels: npt.NDArray[np.uint8]
    """Shape (scenes, S, S, 3), RGB; S is the side of the model's input."""
    objects: npt.NDArray[np.int16]
    """Shape (scenes, MAX_OBJECTS, 30): `_OBJECT_FIELDS` of each object."""
    words: npt.NDArray[np.int16]
    """Shape (scenes, MAX_WORDS, 5): `_WORD_FIELDS` of each word."""
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

    def truth(self, index: int, *, is_mirrored: bool = False) -> Truth:
        """What is true of one scene, after a left-right flip where `is_mirrored`."""
        objects = tuple(
            Target(SHAPES[row[0]], COLOURS[row[1]], tuple(row[2:6]), _without_padding(row[6:]))
            for row in self.objects[index].tolist()
            if row[0] >= 0
        )
        words = tuple(
            PrintedWord(PRINTED_WORDS[row[0]], tuple(row[1:]))
            for row in self.words[index].tolist()
            if row[0] >= 0
        )
        truth = Truth(objects, words)
        return mirrored(truth) if is_mirrored else truth


def check_trainable(first_seed: int, count: int) -> None:
    """Raises UsageError for seeds below 0, and for those that are kept for measurements."""
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
    """Paint `count` scenes into a folder, or open them where an earlier call left the same ones.

    Their seeds go on from `first_seed`; `max_objects` and `empty_rate` are those of `paint`. Raises
    UsageError for seeds that are not for training.
    """
    check_trainable(first_seed, count)
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{first_seed}-{count}-max{max_objects}-empty{empty_rate}-{INPUT_SIZE}px"
    files = [folder / f"{stem}.{part}.npy" for part in ("pixels", "objects", "words")]
    # the words are written last, so their file says that the others are complete
    if not files[-1].exists():
        pixels = np.lib.format.open_memmap(
            files[0], "w+", np.uint8, (count, INPUT_SIZE, INPUT_SIZE, 3)
        )
        objects = np.full((count, MAX_OBJECTS, _OBJECT_FIELDS), -1, np.int16)
        words = np.full((count, MAX_WORDS, _WORD_FIELDS), -1, np.int16)
        seeds = range(first_seed, first_seed + count)
        for row, (square, truth) in enumerate(_painted(seeds, max_objects, empty_rate, processes)):
            pixels[row] = square
            for place, item in enumerate(truth.objects):
                fields = SHAPES.index(item.shape), COLOURS.index(item.colour), *item.bins
                objects[row, place, : 6 + len(item.polygon)] = *fields, *item.polygon
            for place, word in enumerate(truth.words):
                words[row, place] = PRINTED_WORDS.index(word.text), *word.bins
        pixels.flush()
        np.save(files[1], objects)
        np.save(files[2], words)
    return Corpus(np.load(files[0], mmap_mode="r"), np.load(files[1]), np.load(files[2]))


def squash(image: Image.Image) -> npt.NDArray[np.uint8]:
    """An image at the model's input size: uint8, shape (S, S, 3)."""
    return np.asarray(image.resize((INPUT_SIZE, INPUT_SIZE), Image.Resampling.BICUBIC))


def _without_padding(values: list[int]) -> tuple[int, ...]:
    return tuple(value for value in values if value >= 0)


def _painted(
    seeds: range, max_objects: int, empty_rate: float, processes: int
) -> Iterator[tuple[npt.NDArray[np.uint8], Truth]]:
    work = functools.partial(_paint_one, max_objects=max_objects, empty_rate=empty_rate)
    if processes < 2:
        yield from map(work, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap(work, seeds, chunksize=64)


def _paint_one(
    seed: int, max_objects: int, empty_rate: float
) -> tuple[npt.NDArray[np.uint8], Truth]:
    scene = paint(seed, max_objects=max_objects, empty_rate=empty_rate)
    return squash(scene.image), truth_of(scene)
