"""An answer as a row of the journal: strings and numbers of every token, packed."""

import json
import sqlite3
import sys
from array import array
from collections.abc import Iterable
from typing import Any

from florence_annotate.types import Answer, Question, TokenKind


def answer_values(answer: Answer) -> tuple[Any, ...]:
    """The columns of the table `answers` after attempt and place."""
    return (
        answer.question.task,
        answer.question.text,
        answer.data,
        _pack("I", answer.ends),
        bytes(answer.kinds),
        _pack("f", answer.logprobs),
        answer.truncated,
        None if answer.question.region is None else json.dumps(answer.question.region),
        answer.question.label,
        None if answer.question.view is None else json.dumps(answer.question.view),
    )


def read_answer(row: sqlite3.Row) -> Answer:
    region, view = (
        None if row[name] is None else tuple(json.loads(row[name])) for name in ("region", "view")
    )
    return Answer(
        Question(row["task"], row["text"], region, row["label"], view),
        row["data"],
        _unpack("I", row["ends"]),
        tuple(TokenKind(kind) for kind in row["kinds"]),
        _unpack("f", row["logprobs"]),
        bool(row["truncated"]),
    )


def _pack(code: str, values: Iterable[float]) -> bytes:
    packed = array(code, values)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def _unpack(code: str, data: bytes) -> tuple[Any, ...]:
    unpacked = array(code)
    unpacked.frombytes(data)
    if sys.byteorder == "big":
        unpacked.byteswap()
    return tuple(unpacked)
