"""How sure the model is of what it pointed at: an estimate of the probability that the label is
right and that the box is, by an IoU of 0.5 or more.

An edge is right when it lies near enough, and the model says by its distribution over all
locations how sure it is of that. The score is

    (P(label) · Π over the four edges of the mass near the chosen location) ^ (1/7)

where near means within a tenth of the box's side. docs/scores.md says how tolerance and power were
chosen, and how well the score holds.

Answers of which no distributions were kept have the geometric mean of the probabilities of their
label and location tokens instead, which ranks boxes and means nothing else.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import mul

from florence_annotate.types import SPREAD_RANGES, Evidence

DEFINITION = "probability-1"
"""Of the score that jobs are begun with; each keeps its own."""
TOLERANCE = 0.1
"""Part of a box's side within which an edge is near enough."""
POWER = 1 / 7
"""The product takes what the model is unsure of for independent, and so falls too low."""


def geometric_mean(logprobs: Sequence[float]) -> float:
    """Of probabilities whose natural logarithms are given."""
    return math.exp(sum(logprobs) / len(logprobs))


def score(evidence: Evidence) -> float:
    """The score in [0, 1]."""
    if not evidence.spreads:
        return geometric_mean(evidence.label_logprobs + evidence.location_logprobs)
    return math.pow(label_probability(evidence) * math.prod(edge_masses(evidence)), POWER)


def label_probability(evidence: Evidence) -> float:
    """The probability of all tokens of the label; 1 where nothing was to be named."""
    return math.exp(sum(evidence.label_logprobs))


def within_part_of_side(side: float) -> float:
    """How many bins off an edge may be, for a box whose side is so many bins long."""
    return TOLERANCE * side


def edge_masses(
    evidence: Evidence, tolerance: Callable[[float], float] = within_part_of_side
) -> list[float]:
    """For each edge (x1, y1, x2, y2) the probability that it is right: near enough, by how many
    bins off it may be for a side of so many. The evidence has spreads.
    """
    x1, y1, x2, y2 = evidence.edges
    spreads, count = evidence.spreads, len(SPREAD_RANGES)
    across, down = _weights(tolerance(x2 - x1)), _weights(tolerance(y2 - y1))
    return [
        _mass(across, spreads[:count]),
        _mass(down, spreads[count : 2 * count]),
        _mass(across, spreads[2 * count : 3 * count]),
        _mass(down, spreads[3 * count :]),
    ]


def _mass(weights: tuple[float, ...], spread: bytes) -> float:
    """The part of a distribution that lies near the chosen bin, of its spread."""
    # what 255ths leave out by rounding is made up for by none of them
    inside: float = sum(map(mul, weights, spread))
    return min(1.0, inside / 255)


@lru_cache(maxsize=4096)
def _weights(bins: float) -> tuple[float, ...]:
    """How much of each range lies within so many bins of the chosen one."""
    weights = []
    for low, high in SPREAD_RANGES:
        nearest, width = min(abs(low), abs(high)), high - low + 1
        weights.append(min(1.0, max(0.0, (bins - nearest + 1) / width)) if nearest else 1.0)
    return tuple(weights)
