"""Checkpoints for tests, and questions to a model without the rooms around it."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from benchmarks.original_layout import original_config, original_tensors
from florence_annotate import tasks
from florence_annotate.checkpoints import checkpoint as checkpoints
from florence_annotate.model.florence import Florence
from florence_annotate.shapes import CHECKPOINT
from florence_annotate.types import Answer, Generation, Picture, Question

ORIGINAL = Path(__file__).parent / "data" / "original-layout"
"""A small random-weight model in the layout of the original repositories, and in `expected.npz`
what their code makes of it."""


def original_layout(folder: Path) -> checkpoints.Checkpoint:
    """ORIGINAL with a tokenizer and settings for its images, which it lacks, in a new folder."""
    shutil.copytree(ORIGINAL, folder, dirs_exist_ok=True)
    for name in ("preprocessor_config.json", "tokenizer.json"):
        shutil.copy(CHECKPOINT / name, folder)
    return checkpoints.find(str(folder))


def copy_of_shapes(folder: Path) -> Path:
    """The embedded checkpoint, to be changed."""
    return Path(shutil.copytree(CHECKPOINT, folder / "copy"))


def views(pictures: Sequence[Picture]) -> list[Any]:
    """The pixels of whole images, as the model encodes them."""
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


def write_original(folder: Path) -> Path:
    """The embedded checkpoint in the original layout, with a tokenizer that lacks the tasks'."""
    folder.mkdir()
    tensors = original_tensors(load_file(CHECKPOINT / "model.safetensors"))
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    config, generation = (
        json.loads((CHECKPOINT / f"{name}.json").read_text())
        for name in ("config", "generation_config")
    )
    (folder / "config.json").write_text(json.dumps(original_config(config, generation)))
    shutil.copy(CHECKPOINT / "preprocessor_config.json", folder)
    shutil.copy(CHECKPOINT / "labels.txt", folder)
    words = json.loads((CHECKPOINT / "tokenizer.json").read_text())
    added = {*tasks.SPECIAL_TOKENS, "<image>"}
    words["added_tokens"] = [t for t in words["added_tokens"] if t["content"] not in added]
    (folder / "tokenizer.json").write_text(json.dumps(words))
    return folder
