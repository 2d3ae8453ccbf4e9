"""Answers as rows, there and back."""

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from florence_annotate.journal.packing import (
    COLUMNS,
    DamagedAnswerError,
    pack_answer,
    unpack_answer,
)
from florence_annotate.types import Answer, Question, TokenKind

FLOAT32 = st.floats(-1e4, 0, width=32)
BOXES = st.none() | st.tuples(*[st.floats(0, 1e4)] * 4)
TEXTS = st.none() | st.text()


@given(
    st.lists(st.tuples(st.binary(min_size=1), st.sampled_from(TokenKind), FLOAT32)),
    st.tuples(TEXTS, BOXES, TEXTS, BOXES),
    st.booleans(),
    st.booleans(),
)
def test_an_answer_comes_back_as_it_was(
    tokens: list[tuple[bytes, TokenKind, float]],
    asked: tuple[str | None, tuple[float, ...] | None, str | None, tuple[float, ...] | None],
    truncated: bool,
    are_spreads_kept: bool,
) -> None:
    pieces = [piece for piece, _, _ in tokens]
    ends = tuple(sum(map(len, pieces[: index + 1])) for index in range(len(pieces)))
    locations = sum(kind is TokenKind.LOCATION for _, kind, _ in tokens)
    said = Answer(
        Question("<OD>", *asked),  # type: ignore[arg-type]
        b"".join(pieces),
        ends,
        tuple(kind for _, kind, _ in tokens),
        tuple(logprob for _, _, logprob in tokens),
        truncated,
        b"\7" * 13 * locations * are_spreads_kept,
    )
    back = unpack_answer(pack_answer(said))
    assert back == said
    assert all(isinstance(kind, TokenKind) for kind in back.kinds)


ROW = dict(
    zip(
        COLUMNS.split(", "),
        ("<OD>", None, b"a", b"\1\0\0\0", b"\1", b"\0\0\0\0", 0, None, None, None, b"\1" * 13),
        strict=True,
    )
)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("task", b"<OD>"),
        ("text", 3),
        ("data", b""),
        ("data", "a"),
        ("ends", b"\1\0\0"),
        ("ends", b"\2\0\0\0"),
        ("kinds", b"\7"),
        ("kinds", None),
        ("logprobs", b""),
        ("logprobs", struct.pack("<f", math.nan)),
        ("logprobs", struct.pack("<f", 1e30)),
        ("region", "{"),
        ("region", "[1, 2, 3]"),
        ("view", "[1, 2, 3, null]"),
        ("view", "[1, 2, 3, NaN]"),
        ("label", 5),
        ("spreads", b"\1"),
        ("spreads", "text"),
    ],
)
def test_a_row_that_was_not_packed_here_is_damaged(column: str, value: object) -> None:
    unpack_answer(tuple(ROW.values()))
    with pytest.raises(DamagedAnswerError):
        unpack_answer(tuple({**ROW, column: value}.values()))
