"""Location bins and pixels."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from florence_annotate.geometry.locations import BINS, to_bin, to_locations, to_pixels


@pytest.mark.parametrize(("position", "bin_"), [(0.0, 0), (33.6, 52), (639.99, 999), (640.0, 999)])
def test_bins(position: float, bin_: int) -> None:
    assert to_bin(position, 640) == bin_


def test_what_lies_outside_goes_to_the_edge_bins() -> None:
    assert (to_bin(-5.0, 640), to_bin(10_000.0, 640)) == (0, BINS - 1)


@given(st.integers(0, BINS - 1), st.integers(1, 20_000))
def test_the_centre_of_a_bin_lies_in_it(bin_: int, size: int) -> None:
    assert to_bin(to_pixels(bin_, size), size) == bin_


@given(st.integers(1, 20_000), st.floats(0, 1, exclude_max=True))
def test_a_position_is_off_by_half_a_bin_at_most(size: int, part: float) -> None:
    position = part * size
    assert abs(to_pixels(to_bin(position, size), size) - position) <= size / BINS / 2 * 1.000001


def test_a_box_is_four_tokens_in_bins_of_its_sides() -> None:
    tokens = to_locations((0.0, 25.0, 50.0, 100.0), 200, 100)
    assert tokens == "<loc_0><loc_250><loc_250><loc_999>"
