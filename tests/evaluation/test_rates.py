"""The threshold that is best for F1."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from florence_annotate.evaluation.rates import Rates, best_rates, short_threshold

SCORES = st.floats(0.0, 1.0)


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.12, 0.5, 0.503, 1.0]) | SCORES, st.booleans())))
def test_no_threshold_is_better(boxes: list[tuple[float, bool]]) -> None:
    objects = sum(right for _, right in boxes) + 2
    scores = np.array([score for score, _ in boxes])
    right = np.array([right for _, right in boxes], dtype=bool)
    best = best_rates(scores, right, objects)
    if not right.any():
        assert best is None
        return
    assert best is not None and best.min_score is not None and best.f1 is not None

    def rates(least: float) -> Rates:
        kept = scores >= least
        return Rates(int(kept.sum()), int(right[kept].sum()), objects)

    said = rates(best.min_score)
    assert (said.boxes, said.right) == (best.boxes, best.right)
    assert all((rates(score).f1 or 0.0) <= best.f1 for score in scores)


@pytest.mark.parametrize(
    ("score", "lower", "least"),
    [
        *((0.5132, 0.471, 0.5), (0.5132, 0.5131, 0.51315), (0.9, None, 0.0), (0.905, 0.135, 0.5)),
        *((1.0, 0.9999, 1.0), (0.14, 0.07, 0.1)),
    ],
)
def test_a_threshold_is_as_short_as_may_be(score: float, lower: float | None, least: float) -> None:
    assert short_threshold(score, lower) == least


def test_what_cannot_be_told_is_none() -> None:
    assert Rates(0, 0, 5).precision is None and Rates(0, 0, 5).recall == 0
    assert Rates(3, 0, 0).recall is None and Rates(3, 0, 0).precision == 0
    assert Rates(0, 0, 0).f1 is None
