"""The largest values of long rows, such as the scores of all tokens.

Shapes: N rows, V values of each.
"""

import torch
from torch import Tensor

_CHUNK = 128
"""Values of which `largest` looks at the highest first."""
_FEW = 16 * _CHUNK
"""Values of which it looks at all at once."""


def largest(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The largest values of each row of (N, V) and their indices, (N, count), largest first.

    On CUDA `topk` reads long rows five times. Here they are read once, for the highest value of
    each chunk: the largest values lie in the chunks whose highest are the largest.
    """
    whole = values.shape[1] // _CHUNK * _CHUNK
    if not values.is_cuda or whole < max(_FEW, count * _CHUNK):
        found, at = values.topk(count)
        return found, at
    return largest_by_chunks(values, count)


def largest_by_chunks(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """See `largest`; there must be as many whole chunks as values are to be found."""
    whole = values.shape[1] // _CHUNK * _CHUNK
    chunks = values[:, :whole].view(len(values), -1, _CHUNK)
    chosen = chunks.amax(2).topk(count).indices
    held = chunks.gather(1, chosen[..., None].expand(-1, -1, _CHUNK))
    found, at = torch.cat([held.flatten(1), values[:, whole:]], dim=1).topk(count)
    behind = at - count * _CHUNK  # not negative for what was in no whole chunk
    chunk = chosen.gather(1, (at // _CHUNK).clamp(max=count - 1))
    return found, torch.where(behind < 0, chunk * _CHUNK + at % _CHUNK, whole + behind)
