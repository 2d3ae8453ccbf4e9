"""Location bins and pixels."""

import pytest

from florence_annotate.geometry.locations import to_bin


@pytest.mark.parametrize(("position", "bin_"), [(0.0, 0), (33.6, 52), (639.99, 999), (640.0, 999)])
def test_bins(position: float, bin_: int) -> None:
    assert to_bin(position, 640) == bin_
