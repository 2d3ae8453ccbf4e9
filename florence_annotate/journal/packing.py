"""An answer as a row of the journal: strings, and the numbers of all its tokens packed."""

import json
import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from florence_annotate.types import Answer, Box, Question, TokenKind

COLUMNS = "task, text, data, ends, kinds, logprobs, truncated, region, label, view, spreads"
"""Of the table `answers`, in the order in which `pack_answer` gives and `unpack_answer` takes them;
before them stand the attempt and the answer's index in it."""

_KINDS = tuple(TokenKind)


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
    """The answer of a row with `COLUMNS`."""
    task, text, data, ends, kinds, logprobs, truncated, region, label, view, spreads = columns
    return Answer(
        _question(task, text, region, label, view),
        data,
        struct.unpack(f"<{len(ends) // 4}I", ends),
        tuple([_KINDS[kind] for kind in kinds]),
        struct.unpack(f"<{len(logprobs) // 4}f", logprobs),
        bool(truncated),
        spreads or b"",
    )


@lru_cache(maxsize=256)
def _question(
    task: str, text: str | None, region: str | None, label: str | None, view: str | None
) -> Question:
    """Most images are asked the same."""
    return Question(task, text, _box(region), label, _box(view))


def _box(text: str | None) -> Box | None:
    return None if text is None else tuple(json.loads(text))
