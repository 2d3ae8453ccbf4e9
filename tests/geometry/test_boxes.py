"""Arithmetic of boxes."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from florence_annotate.geometry import boxes
from florence_annotate.types import Box

corner = st.integers(0, 100).map(float)
side = st.integers(1, 100).map(float)
any_box = st.builds(lambda x, y, w, h: (x, y, x + w, y + h), corner, corner, side, side)

LEFT, RIGHT = (0.0, 0.0, 4.0, 2.0), (2.0, 0.0, 6.0, 2.0)


def test_overlap_is_measured_by_area() -> None:
    assert boxes.intersection(LEFT, RIGHT) == (2.0, 0.0, 4.0, 2.0)
    assert boxes.area(LEFT) == 8
    assert boxes.iou(LEFT, RIGHT) == pytest.approx(4 / 12)
    assert boxes.part_within((1.0, 0.0, 3.0, 4.0), LEFT) == 0.5


def test_boxes_that_only_touch_share_nothing() -> None:
    beside = (4.0, 0.0, 8.0, 2.0)
    assert boxes.intersection(LEFT, beside) is None
    assert boxes.iou(LEFT, beside) == boxes.part_within(LEFT, beside) == 0.0


def test_a_box_holds_itself_and_what_touches_its_edges() -> None:
    assert boxes.holds(LEFT, LEFT) and boxes.holds(LEFT, (0.0, 0.0, 1.0, 2.0))
    assert not boxes.holds(LEFT, RIGHT)


def test_distance_is_that_of_the_centres() -> None:
    assert boxes.distance((0.0, 0.0, 2.0, 2.0), (3.0, 4.0, 5.0, 6.0)) == pytest.approx(5.0)


def test_a_box_is_counted_from_a_views_corner() -> None:
    view = (100.0, 50.0, 300.0, 200.0)
    assert boxes.within((110.0, 60.0, 120.0, 70.0), view) == (10.0, 10.0, 20.0, 20.0)
    assert boxes.size(view) == (200, 150)


@given(any_box, any_box)
def test_what_holds_for_every_pair(first: Box, second: Box) -> None:
    overlap = boxes.iou(first, second)
    assert overlap == boxes.iou(second, first) and 0 <= overlap <= 1
    assert boxes.iou(first, first) == 1
    whole = boxes.around([first, second])
    assert boxes.holds(whole, first) and boxes.holds(whole, second)
    shared = boxes.intersection(first, second)
    assert shared is None or (boxes.holds(first, shared) and boxes.holds(second, shared))
    assert math.isclose(boxes.distance(first, second), boxes.distance(second, first))
