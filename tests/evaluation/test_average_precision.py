"""Average precision of boxes whose quality is known."""

import pytest

from florence_annotate.evaluation.average_precision import Scored, average_precision

TRUE = [Scored(7, "a", (10, 10, 50, 50), 1.0), Scored(3, "b", (0, 0, 20, 30), 1.0)]


def test_a_perfect_answer() -> None:
    found = [Scored(one.image, one.category, one.box, 0.4) for one in TRUE]
    assert average_precision("abc", [3, 7, 9], TRUE, found) == pytest.approx((1.0, 1.0))


def test_a_moved_box_costs_at_high_overlaps() -> None:
    found = [TRUE[1], Scored(7, "a", (14, 10, 54, 50), 0.9)]
    ap50, ap = average_precision("ab", [3, 7], TRUE, found)
    assert ap50 == pytest.approx(1.0)
    assert ap == pytest.approx((1.0 + 0.7) / 2)


def test_a_class_without_true_boxes_does_not_count() -> None:
    found = [*TRUE, Scored(3, "c", (1, 1, 5, 5), 0.9), Scored(3, "unknown", (1, 1, 5, 5), 0.9)]
    assert average_precision("abc", [3, 7], TRUE, found) == pytest.approx((1.0, 1.0))


def test_nothing_found() -> None:
    assert average_precision("ab", [3, 7], TRUE, []) == (0.0, 0.0)
