"""Edges between the bins."""

from dataclasses import replace

import pytest
from written_answers import answer

from florence_annotate.answers import parsing
from florence_annotate.answers.refinement import refined_box
from florence_annotate.types import SPREAD_RANGES, Box, Instance


def leaning(**parts: int) -> bytes:
    """A spread with these 255ths in ranges that begin so many bins away; `m3` is 3 to the left."""
    at = {int(name[1:]) * (-1 if name[0] == "m" else 1): mass for name, mass in parts.items()}
    return bytes(at.get(low if low >= 0 else high, 0) for low, high in SPREAD_RANGES)


SURE, RIGHT, FAR = leaning(p0=255), leaning(p0=85, p1=170), leaning(p0=100, p63=155)


def said(*spreads: bytes, view: Box | None = None) -> Instance:
    spoken = replace(answer("car", 100, 200, 300, 400), spreads=b"".join(spreads))
    width, height = (1000, 500) if view is None else (int(view[2] - view[0]), 500)
    (found,) = parsing.parse(spoken, width, height)[0]
    if view is None:
        return found
    x1, y1, x2, y2 = found.box
    return replace(found, view=view, box=(x1 + view[0], y1, x2 + view[0], y2))


def test_an_edge_moves_to_the_mean_of_what_lies_near() -> None:
    # two thirds lie 1.5 bins further on average; a bin is 1 pixel across and half a pixel down
    box = refined_box(said(RIGHT, RIGHT, SURE, SURE), 1000, 500)
    assert box == pytest.approx((101.5, 100.75, 300.5, 200.25))


def test_what_lies_far_away_moves_nothing() -> None:
    assert refined_box(said(FAR, SURE, SURE, SURE), 1000, 500) == pytest.approx(
        (100.5, 100.25, 300.5, 200.25)
    )


def test_in_a_tile_bins_are_those_of_the_tile() -> None:
    found = said(RIGHT, SURE, SURE, SURE, view=(1000.0, 0.0, 3000.0, 500.0))
    assert refined_box(found, 3000, 500) == pytest.approx((1203, 100.25, 1601, 200.25))


def test_a_box_that_was_put_together_or_has_an_outline_stays() -> None:
    found = said(RIGHT, RIGHT, RIGHT, RIGHT)
    together = replace(found, box=(0.0, 0.0, 500.0, 500.0))
    outlined = replace(found, polygons=(((0.0, 0.0), (1.0, 0.0), (1.0, 1.0)),))
    for one in (together, outlined, replace(found, evidence=None)):
        assert refined_box(one, 1000, 500) == one.box


def test_answers_without_spreads_stay() -> None:
    found = said()
    assert refined_box(found, 1000, 500) == found.box
