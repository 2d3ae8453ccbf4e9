"""How large images are cut in tiles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from florence_annotate.errors import UsageError
from florence_annotate.images.tiles import Tiling


@given(
    st.integers(1, 3000),
    st.integers(1, 3000),
    st.one_of(st.sampled_from(["2x2", "3x1", "1x4"]), st.integers(200, 900).map(str)),
    st.floats(0, 0.5),
)
def test_tiles_cover_the_image_and_stay_in_it(
    width: int, height: int, tiles: str, overlap: float
) -> None:
    boxes = Tiling.parse(tiles, overlap).cut(width, height)
    sizes = {(x2 - x1, y2 - y1) for x1, y1, x2, y2 in boxes}
    assert len(sizes) <= 1
    covered = np.zeros((height, width), bool)
    for x1, y1, x2, y2 in boxes:
        assert 0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height
        covered[int(y1) : int(y2), int(x1) : int(x2)] = True
    assert covered.all() or not boxes


def test_neighbours_share_the_overlap() -> None:
    boxes = Tiling.parse("2x1", 0.2).cut(1800, 500)
    assert boxes == [(0, 0, 1000, 500), (800, 0, 1800, 500)]
    assert Tiling.parse("768", 0.2).cut(700, 768) == []


@pytest.mark.parametrize("text", ["", "0x2", "2x", "x", "16x17", "8", "2x2x2", "-768"])
def test_what_is_no_tiling_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--tiles"):
        Tiling.parse(text, 0.2)
