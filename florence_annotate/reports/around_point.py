"""Where is my box? What the model said about a point of an image."""

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from florence_annotate.config.model_settings import LONGEST_ANSWER
from florence_annotate.geometry.boxes import area
from florence_annotate.images.keys import in_shell
from florence_annotate.reports.explanation import Explanation, Fate, refuse_outside
from florence_annotate.tasks import of
from florence_annotate.types import Box

_FEW = 3
"""Shown of what is near, where nothing covers the point."""


@dataclass(frozen=True, slots=True)
class Around:
    """What lies at a point, in pixels of the upright image."""

    x: float
    y: float
    covering: tuple[Fate, ...]
    """What covers it, the smallest first."""
    nearest: tuple[tuple[float, Fate], ...]
    """Where nothing covers it, a few that are near, with their distances in pixels."""
    without_place: tuple[Fate, ...]
    """Where nothing covers it, what was said without a box."""
    to_try: tuple[tuple[str, str], ...]
    """Where nothing covers it, what may help, and a command for it."""


def look_around(explanation: Explanation, x: float, y: float) -> Around:
    """What the model said about a point. Raises UsageError for one that is not on the image, and
    for an image that was never annotated."""
    refuse_outside(explanation, x, y)
    fates = (*explanation.kept, *explanation.dropped)
    placed = [(_distance(one.box, x, y), one) for one in fates if one.box is not None]
    covering = [one for distance, one in placed if distance == 0]
    if covering:
        return Around(x, y, tuple(sorted(covering, key=_size)), (), (), ())
    nearest = sorted(placed, key=lambda pair: pair[0])[:_FEW]
    without = tuple(one for one in fates if one.box is None)
    return Around(x, y, (), tuple(nearest), without, tuple(_to_try(explanation)))


def _size(fate: Fate) -> float:
    return area(fate.box) if fate.box else math.inf


def _distance(box: Box, x: float, y: float) -> float:
    left, top, right, bottom = box
    return math.hypot(max(left - x, 0, x - right), max(top - y, 0, y - bottom))


def _to_try(explanation: Explanation) -> Iterator[tuple[str, str]]:
    questions = [answer.question for answer in explanation.answers]
    if explanation.image is not None and explanation.image.truncated:
        most = explanation.spec.max_new_tokens
        yield (
            "an answer was cut: let it be longer",
            _command(explanation, "--max-new-tokens", 2 * (most or LONGEST_ANSWER)),
        )
    if all(question.view is None for question in questions):
        yield "small things are seen in tiles", _command(explanation, "--tiles", "2x2")
    if not any(of(question).takes_one_phrase for question in questions):
        asked = ("--strategy", "open-vocabulary", "--classes", "NAME")
        yield "ask for it by its name", _command(explanation, *asked)


def _command(explanation: Explanation, *options: Any) -> str:
    """Another job about this image alone."""
    words: Sequence[Any] = (
        *("run", os.fsdecode(explanation.ref.path), "-o", "tried"),
        *("--model", explanation.spec.model, *options),
    )
    return in_shell("florence-annotate", *map(str, words))
