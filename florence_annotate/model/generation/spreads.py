"""How sure each location is: where around the chosen bin the model's distribution has its mass.

A location is chosen from a distribution over 1,000 bins. Its spread is the mass of the model's own
distribution, before any rule, in 13 ranges of bins around the chosen one, in octaves on either
side: the sides of a box are seldom equally sure inwards and outwards.

Shapes: R rows, B beams, K tokens that go on from one of them, V tokens of the vocabulary.
"""

import torch
from torch import Tensor
from torch.nn import functional

from florence_annotate.tasks import LOCATION_BINS as BINS
from florence_annotate.types import SPREAD_RANGES


class Spreads:
    """Summarises distributions over the vocabulary; holds what is the same in all steps."""

    def __init__(self, first_location: int, device: torch.device) -> None:
        """`first_location` is the id of `<loc_0>`; those of the others follow it."""
        self._locations = slice(first_location, first_location + BINS)
        # each range begins where the one before it ends
        edges = [low for low, _ in SPREAD_RANGES] + [SPREAD_RANGES[-1][1] + 1]
        self._edges = torch.tensor(edges, device=device) - first_location

    def of(self, logprobs: Tensor, tokens: Tensor, parents: Tensor | None = None) -> Tensor:
        """The spreads (R, K, 13), in 255ths, of tokens (R, K) under log-probabilities (R, B, V).

        `parents` (R, K) are the beams that they go on from; None: from the only one. Spreads of
        tokens that are no locations mean nothing.
        """
        mass = functional.pad(logprobs[..., self._locations].exp().cumsum(2), (1, 0))
        edges = (tokens[..., None] + self._edges).clamp(0, BINS)
        if parents is not None:
            edges = edges + parents[..., None] * (BINS + 1)
        below = mass.flatten(1).gather(1, edges.flatten(1)).view(edges.shape)
        return (below.diff(dim=2) * 255).round().to(torch.uint8)
