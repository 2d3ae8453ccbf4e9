"""Edges between the bins: where the mass near a chosen location lies on average.

A location is the likeliest of 1,000 bins, and its neighbours are often nearly as likely; of all
that lie near, the mean is the better guess. docs/scores.md has what it gains.
"""

from operator import mul

from florence_annotate.answers.scores import within_part_of_side
from florence_annotate.geometry.boxes import size
from florence_annotate.geometry.locations import to_pixels
from florence_annotate.tasks import LOCATION_BINS as BINS
from florence_annotate.types import SPREAD_RANGES, Box, Instance

_CENTRES = tuple((low + high) / 2 for low, high in SPREAD_RANGES)
_NEAREST = tuple(min(abs(low), abs(high)) for low, high in SPREAD_RANGES)


def refined_box(instance: Instance, width: int, height: int) -> Box:
    """The box of an instance with refined edges, within the image or the tile that was asked about.

    The image is `width` by `height` pixels. The same box where an instance has an outline, where
    how sure its edges are was not kept, and where its box was put together from several tiles.
    """
    evidence = instance.evidence
    if evidence is None or not evidence.spreads or instance.polygons or instance.quad:
        return instance.box
    left, top, right, bottom = instance.view or (0.0, 0.0, float(width), float(height))
    origins, sizes = (left, top) * 2, size((left, top, right, bottom)) * 2
    x1, y1, x2, y2 = evidence.edges
    sides = (x2 - x1, y2 - y1) * 2
    edges = []
    for place, (edge, origin, length, side) in enumerate(
        zip(evidence.edges, origins, sizes, sides, strict=True)
    ):
        said = origin + to_pixels(edge, length)
        if abs(said - instance.box[place]) > length / BINS / 2:
            return instance.box
        spread = evidence.spreads[place * len(SPREAD_RANGES) : (place + 1) * len(SPREAD_RANGES)]
        moved = said + _mean_offset(spread, within_part_of_side(side)) * length / BINS
        edges.append(min(max(moved, origin), origin + length))
    refined = edges[0], edges[1], edges[2], edges[3]
    is_box = refined[0] < refined[2] and refined[1] < refined[3]
    return refined if is_box else instance.box


def _mean_offset(spread: bytes, bins: float) -> float:
    """How many bins from the chosen one the mass within so many lies on average."""
    near = [mass if nearest <= bins else 0 for mass, nearest in zip(spread, _NEAREST, strict=True)]
    total = sum(near)
    return sum(map(mul, near, _CENTRES)) / total if total else 0.0
