"""Scores from what the model says of how sure it is."""

import math
from dataclasses import replace

import pytest
from written_answers import answer

from florence_annotate.answers import parsing, scores
from florence_annotate.tasks import OCR, SEGMENTATION
from florence_annotate.types import SPREAD_RANGES, Answer, Instance

SURE = bytes(255 if low == 0 else 0 for low, _ in SPREAD_RANGES)
"""All mass on the chosen bin."""


def sure_within(bins: int) -> bytes:
    """All mass in the range that begins so many bins to the right."""
    return bytes(255 if low == bins else 0 for low, _ in SPREAD_RANGES)


def said(
    *tokens: str | int, spreads: bytes, probability: float = 1.0, task: str = "<OD>"
) -> Answer:
    """An answer whose every text token has this probability."""
    logprobs = [0.0 if isinstance(token, int) else math.log(probability) for token in tokens]
    return replace(answer(*tokens, task=task, logprobs=logprobs), spreads=spreads)


def instances(spoken: Answer) -> list[Instance]:
    return parsing.parse(spoken, 1000, 1000)[0]


def test_a_box_with_all_mass_on_its_edges_is_as_sure_as_its_label() -> None:
    (found,) = instances(said("car", 100, 100, 300, 300, spreads=SURE * 4, probability=0.5))
    assert found.score == pytest.approx(0.5**scores.POWER)


def test_mass_within_a_tenth_of_the_side_counts_and_what_lies_beyond_does_not() -> None:
    near, far = sure_within(15), sure_within(63)
    sure = instances(said("car", 100, 100, 500, 500, spreads=near * 4))[0]
    unsure = instances(said("car", 100, 100, 500, 500, spreads=near * 3 + far))[0]
    assert sure.score == pytest.approx(1)
    assert unsure.score == 0


def test_what_is_near_enough_depends_on_the_side() -> None:
    wide = instances(said("car", 100, 100, 500, 200, spreads=(SURE + sure_within(7)) * 2))[0]
    tall = instances(said("car", 100, 100, 200, 500, spreads=(SURE + sure_within(7)) * 2))[0]
    assert 0 < wide.score < tall.score == pytest.approx(1)


def test_of_a_range_that_is_cut_by_the_tolerance_a_part_counts() -> None:
    # a tenth of 100 bins takes in 4 of the 8 that begin 7 away
    (found,) = instances(said("car", 100, 100, 200, 200, spreads=sure_within(7) + SURE * 3))
    assert found.score == pytest.approx((4 / 8) ** scores.POWER)


def test_each_box_of_a_phrase_has_its_own_spreads() -> None:
    spreads = SURE * 4 + sure_within(63) * 4
    first, second = instances(said("car", 1, 2, 90, 90, 5, 6, 7, 8, spreads=spreads))
    assert (first.score, second.score) == (1, 0)


def test_an_outline_is_as_sure_as_the_box_around_it() -> None:
    triangle = (100, 100, 300, 200, 200, 300)
    outermost = (SURE, SURE, SURE, sure_within(63), sure_within(63), SURE)
    spreads = b"".join(outermost)
    (found,) = instances(said(*triangle, spreads=spreads, task=SEGMENTATION))
    assert found.score == 1
    lowest_unsure = SURE * 5 + sure_within(63)
    (found,) = instances(said(*triangle, spreads=lowest_unsure, task=SEGMENTATION))
    assert found.score == 0


def test_printed_words_are_as_sure_as_their_letters_and_the_box_around_them() -> None:
    quad = (100, 100, 300, 100, 300, 200, 100, 200)
    spoken = said("EXIT", *quad, spreads=SURE * 8, probability=0.5, task="<OCR_WITH_REGION>")
    (found,) = instances(spoken)
    assert found.score == pytest.approx(0.5**scores.POWER)


def test_answers_without_spreads_have_the_geometric_mean() -> None:
    (found,) = instances(said("car", 100, 100, 300, 300, spreads=b"", probability=0.5))
    assert found.score == pytest.approx(0.5 ** (1 / 5))


def test_texts_have_the_geometric_mean() -> None:
    text, score = parsing.parse_text(said("OPEN", spreads=b"", probability=0.5, task=OCR))
    assert (text, score) == ("OPEN", 0.5)
