"""Answers as rows, there and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from florence_annotate.journal.packing import pack_answer, unpack_answer
from florence_annotate.types import Answer, Question, TokenKind

FLOAT32 = st.floats(-1e4, 0, width=32)
BOXES = st.none() | st.tuples(*[st.floats(0, 1e4)] * 4)
TEXTS = st.none() | st.text()


@given(
    st.lists(st.tuples(st.binary(min_size=1), st.sampled_from(TokenKind), FLOAT32)),
    st.tuples(TEXTS, BOXES, TEXTS, BOXES),
    st.booleans(),
    st.binary(max_size=26),
)
def test_an_answer_comes_back_as_it_was(
    tokens: list[tuple[bytes, TokenKind, float]],
    asked: tuple[str | None, tuple[float, ...] | None, str | None, tuple[float, ...] | None],
    truncated: bool,
    spreads: bytes,
) -> None:
    pieces = [piece for piece, _, _ in tokens]
    ends = tuple(sum(map(len, pieces[: index + 1])) for index in range(len(pieces)))
    said = Answer(
        Question("<OD>", *asked),  # type: ignore[arg-type]
        b"".join(pieces),
        ends,
        tuple(kind for _, kind, _ in tokens),
        tuple(logprob for _, _, logprob in tokens),
        truncated,
        spreads,
    )
    back = unpack_answer(pack_answer(said))
    assert back == said
    assert all(isinstance(kind, TokenKind) for kind in back.kinds)


def test_a_kind_that_there_is_not_is_no_token() -> None:
    columns = ("<OD>", None, b"a", b"\1\0\0\0", b"\7", b"\0\0\0\0", 0, None, None, None, None)
    with pytest.raises(IndexError):
        unpack_answer(columns)
