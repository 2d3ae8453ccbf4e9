"""The images and questions of each training step.

They follow from seed and step alone, so a resumed run goes on as if it had never stopped.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from florence_annotate.shapes import MAX_OBJECTS
from training import corpus
from training.corpus import Corpus
from training.exchanges import Exchange
from training.lessons import first_questions, questions
from training.truth import Truth

EMPTY_RATE = 0.02
"""The part of the training scenes that have no object: the answer there is empty."""

_EASY = 3
"""The most objects in an easy scene."""

_CROWD = 5
"""From this number of objects on, a scene is crowded."""


@dataclass(frozen=True, slots=True)
class Pools:
    """The scenes that batches are drawn from."""

    easy: Corpus
    others: Corpus


@dataclass(frozen=True, slots=True)
class Batch:
    """The images of one step, what is true of them, and what is asked about them."""

    pixels: Tensor
    """uint8, shape (images, S, S, 3)."""
    truths: list[Truth]
    is_legible: list[bool]
    """Whether the words on each image can be read."""
    exchanges: list[tuple[int, Exchange]]
    """Each with the number of its image in the batch."""


def paint_pools(folder: Path, easy: int, others: int, processes: int) -> Pools:
    """So many easy scenes, with seeds from 0 on, and so many others, with the seeds behind them."""

    def prepare(first_seed: int, count: int, max_objects: int) -> Corpus:
        return corpus.prepare(
            folder,
            first_seed=first_seed,
            count=count,
            max_objects=max_objects,
            empty_rate=EMPTY_RATE,
            processes=processes,
        )

    return Pools(prepare(0, easy, _EASY), prepare(easy, others, MAX_OBJECTS))


def draw(pools: Pools, *, seed: int, step: int, size: int, maturity: float) -> Batch:
    """The batch of one step: `size` images, and the questions about them.

    What a model learns from depends on its `maturity`, 0 to 1 (`learning.Run`): first scenes with
    one or two objects, then with any number, later many with a crowd.
    """
    rng = random.Random(seed * 1_000_003 + step)
    part_of_others = min(0.9, max(0.0, (maturity - 0.12) / 0.1))
    # one or two objects first: where many are to be told apart at once, little is learnt for long
    limit = 1 if maturity < 0.06 else 2 if maturity < 0.1 else MAX_OBJECTS
    squares, truths, legible = [], [], []
    exchanges: list[tuple[int, Exchange]] = []
    for row in range(size):
        pool = pools.others if rng.random() < part_of_others else pools.easy
        # objects are missed in crowds, so later half of these scenes are crowded
        is_crowded = pool is pools.others and maturity > 0.4 and rng.random() < 0.5
        index = rng.choice(pool.with_objects(_CROWD if is_crowded else 0, limit))
        # words can't be read in a mirror
        is_mirrored = rng.random() < (0.2 if pool.words[index, 0, 0] >= 0 else 0.5)
        square = pool.pixels[index]
        squares.append(square[:, ::-1] if is_mirrored else square)
        truth = pool.truth(index, is_mirrored=is_mirrored)
        truths.append(truth)
        legible.append(not is_mirrored)
        exchanges += [(row, exchange) for exchange in _ask(rng, truth, not is_mirrored, maturity)]
    return Batch(torch.from_numpy(np.stack(squares)), truths, legible, exchanges)


def _ask(rng: random.Random, truth: Truth, is_legible: bool, maturity: float) -> Sequence[Exchange]:
    if maturity > 0.2:
        return questions(rng, truth, is_legible=is_legible)
    return first_questions(rng, truth, maturity)
