"""The outlines of the shapes."""

import numpy as np
import pytest

from florence_annotate.shapes import SHAPES
from florence_annotate.shapes.outlines import outline


@pytest.mark.parametrize("shape", SHAPES)
def test_outlines_fill_the_unit_square(shape: str) -> None:
    corners = np.array(outline(shape))
    assert np.allclose(corners.min(0), 0, atol=1e-9)
    assert np.allclose(corners.max(0), 1, atol=1e-9)


def test_an_unknown_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="blob"):
        outline("blob")
