"""Questions to a model without the rooms around it."""

from collections.abc import Sequence
from typing import Any

import torch

from florence_annotate.model.florence import Florence
from florence_annotate.types import Answer, Generation, Picture, Question


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
