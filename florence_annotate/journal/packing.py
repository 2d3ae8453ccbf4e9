"""An answer as a row of the journal: strings, and the numbers of all its tokens packed."""

import json
import math
import struct
from collections.abc import Sequence
from functools import lru_cache
from types import NoneType
from typing import Any

from florence_annotate import tasks
from florence_annotate.types import SPREAD_RANGES, Answer, Box, Question, TokenKind

COLUMNS = "task, text, data, ends, kinds, logprobs, truncated, region, label, view, spreads"
"""Of the table `answers`, in the order in which `pack_answer` gives and `unpack_answer` takes them;
before them stand the attempt and the answer's index in it."""

_KINDS = tuple(TokenKind)


class DamagedAnswerError(Exception):
    """A row that `pack_answer` never gave; its text says why."""


def pack_answer(answer: Answer) -> tuple[Any, ...]:
    """An answer's values for `COLUMNS`."""
    question, count = answer.question, len(answer.ends)
    return (
        question.task,
        question.text,
        answer.data,
        struct.pack(f"<{count}I", *answer.ends),
        bytes(answer.kinds),
        struct.pack(f"<{len(answer.logprobs)}f", *answer.logprobs),
        answer.truncated,
        None if question.region is None else json.dumps(question.region),
        question.label,
        None if question.view is None else json.dumps(question.view),
        answer.spreads or None,
    )


def unpack_answer(columns: Sequence[Any]) -> Answer:
    """The answer of a row with `COLUMNS`. Raises DamagedAnswerError for one that was not packed
    here."""
    task, text, data, ends, kinds, logprobs, truncated, region, label, view, spreads = columns
    try:
        count = len(kinds)
        answer = Answer(
            _question(task, text, region, label, view),
            data,
            struct.unpack(f"<{count}I", ends),
            tuple([_KINDS[kind] for kind in kinds]),
            struct.unpack(f"<{count}f", logprobs),
            bool(truncated),
            spreads or b"",
        )
        locations = kinds.count(TokenKind.LOCATION)
    except (ValueError, TypeError, LookupError, AttributeError, struct.error) as error:
        raise DamagedAnswerError(str(error)) from error
    if type(data) is not bytes or (answer.ends and answer.ends[-1] > len(data)):
        raise DamagedAnswerError("it has other bytes than its tokens")
    if list(answer.ends) != sorted(answer.ends):
        raise DamagedAnswerError("its tokens are not in order")
    if count and not (max(answer.logprobs) <= 1 and sum(answer.logprobs) <= count):
        raise DamagedAnswerError("its tokens have no probabilities")
    if spreads and (type(spreads) is not bytes or len(spreads) != locations * len(SPREAD_RANGES)):
        raise DamagedAnswerError("it says of other locations how sure they are")
    return answer


@lru_cache(maxsize=256)
def _question(
    task: str, text: str | None, region: str | None, label: str | None, view: str | None
) -> Question:
    """Most images are asked the same. Raises ValueError, TypeError."""
    if type(task) is not str or not {type(text), type(label)} <= {str, NoneType}:
        raise TypeError("its question is no text")
    question = Question(task, text, _box(region), label, _box(view))
    try:
        tasks.of(question)
    except KeyError as error:
        raise ValueError(f"there is no task {task!r}") from error
    return question


def _box(text: str | None) -> Box | None:
    if text is None:
        return None
    x1, y1, x2, y2 = json.loads(text)
    if not all(type(edge) in (int, float) and math.isfinite(edge) for edge in (x1, y1, x2, y2)):
        raise ValueError("its box is none")
    return x1, y1, x2, y2
