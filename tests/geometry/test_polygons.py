"""Outlines of instances: joined parts, turned boxes, masks with holes."""

import numpy as np
import pytest
from pycocotools import mask as masks

from florence_annotate.geometry.polygons import (
    encode_mask,
    join_parts,
    mask_area,
    oriented_box,
    outline_of,
    polygon_area,
    to_mask,
    to_part_of_mask,
    union_of,
)
from florence_annotate.types import Instance, Polygon


def square(x: float, y: float, side: float) -> Polygon:
    return (x, y), (x + side, y), (x + side, y + side), (x, y + side)


def instance(*polygons: Polygon, quad: Polygon = ()) -> Instance:
    return Instance("a", 1.0, (2.0, 4.0, 12.0, 9.0), "<OD>", polygons, quad)


def test_parts_that_are_joined_keep_their_area() -> None:
    parts = (square(0, 0, 10), square(20, 0, 10), square(0, 30, 5))
    joined = join_parts(parts)
    assert set(joined) == {point for part in parts for point in part}
    assert polygon_area(joined) == pytest.approx(225)


def test_an_outline_within_another_is_a_hole() -> None:
    encoded = encode_mask((square(10, 10, 40), square(20, 20, 10)), 100, 60)
    assert encoded["size"] == [60, 100]
    mask = to_mask((square(10, 10, 40), square(20, 20, 10)), 100, 60)
    assert mask[12, 12] and not mask[25, 25] and not mask[5, 5]
    assert mask_area(encoded) == masks.area(encoded) == mask.sum()
    assert mask.sum() == pytest.approx(1500, rel=0.05)


def test_of_a_small_mask_on_a_large_image_only_its_part_is_made() -> None:
    ring = (square(9_010, 20, 40), square(9_020, 30, 10))
    left, top, part = to_part_of_mask(ring, 20_000, 10_000)
    assert (left, top, part.shape) == (9_010, 20, (41, 41))
    small = to_mask((square(10, 20, 40), square(20, 30, 10)), 100, 80)
    assert (small[20:61, 10:51] == part).all() and small.sum() == part.sum()


@pytest.mark.parametrize(("x", "y"), [(-5, 10), (95, 55), (-20, -20), (200, 10)])
def test_what_lies_beyond_the_image_is_no_part_of_a_mask(x: int, y: int) -> None:
    moved = to_mask((square(x + 50, y + 50, 10),), 400, 400)[50:110, 50:150]
    assert (to_mask((square(x, y, 10),), 100, 60) == moved).all()


def test_oriented_boxes_are_the_texts_own_or_the_smallest_around() -> None:
    quad = ((0.0, 1.0), (5.0, 2.0), (4.0, 6.0), (-1.0, 5.0))
    assert oriented_box(instance(quad=quad)) == quad
    diamond = ((10.0, 0.0), (20.0, 10.0), (10.0, 20.0), (0.0, 10.0))
    turned = oriented_box(instance(diamond))
    assert polygon_area(turned) == pytest.approx(200, rel=1e-3)
    assert np.allclose(sorted(turned), sorted(diamond), atol=1e-3)
    assert polygon_area(oriented_box(instance())) == 50


def test_masks_that_overlap_are_joined_and_holes_stay() -> None:
    ring = (square(10, 10, 40), square(20, 20, 10))
    (outline, *holes) = union_of([ring, (square(40, 10, 30),)])
    assert len(holes) == 1
    covered = to_mask((outline, *holes), 100, 60)
    expected = to_mask(ring, 100, 60) | to_mask((square(40, 10, 30),), 100, 60)
    assert (covered ^ expected).sum() <= 0.05 * expected.sum()
    assert not covered[25, 25] and covered[15, 45] and covered[20, 65]


def test_an_outline_is_that_of_the_mask_else_of_the_text_else_none() -> None:
    quad = ((0.0, 1.0), (5.0, 2.0), (4.0, 6.0), (-1.0, 5.0))
    assert outline_of(instance(square(0, 0, 2), quad=quad)) == square(0, 0, 2)
    assert outline_of(instance(quad=quad)) == quad
    assert outline_of(instance()) == ()
