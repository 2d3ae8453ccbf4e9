"""Checkpoints for tests, and questions to a model without the rooms around it."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from florence_annotate.checkpoints import checkpoint as checkpoints
from florence_annotate.model.florence import Florence
from florence_annotate.shapes import CHECKPOINT
from florence_annotate.types import Answer, Generation, Picture, Question

ORIGINAL = Path(__file__).parent / "data" / "original-layout"
"""A small random-weight model in the layout of the original repositories, and in `expected.npz`
what their code makes of it."""


def original_layout(folder: Path) -> checkpoints.Checkpoint:
    """ORIGINAL with settings for its pictures, which it lacks, in a new folder."""
    shutil.copytree(ORIGINAL, folder, dirs_exist_ok=True)
    shutil.copy(CHECKPOINT / "preprocessor_config.json", folder)
    return checkpoints.find(str(folder))


def copy_of_shapes(folder: Path) -> Path:
    """The embedded checkpoint, to be changed."""
    return Path(shutil.copytree(CHECKPOINT, folder / "copy"))


def views(pictures: Sequence[Picture]) -> list[Any]:
    """The pixels of whole pictures, as the model encodes them."""
    return [picture.pixels[0] for picture in pictures]


def ask(
    model: Florence,
    features: torch.Tensor,
    asked: Sequence[tuple[int, Question]],
    generation: Generation,
    rows: int = 8,
) -> list[Answer]:
    """Answers to (index into features, question) pairs, in their order."""
    answering = model.answering(generation, rows)
    for ticket, (index, question) in enumerate(asked):
        answering.ask(ticket, features[index], question)
    answers: dict[int, Answer] = {}
    while found := answering.answers():
        answers |= dict(found)
    return [answers[ticket] for ticket in range(len(asked))]
