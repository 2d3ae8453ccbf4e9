"""Scaled dot-product attention, by PyTorch, by flash-attn, or written out.

Shapes: N examples, H heads, Q queries, K keys, d a head's width.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from florence_annotate.model import kernels

Attend = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]
"""Queries (N, H, Q, d), keys and values (N, H, K, d), a mask to add → values mixed (N, H, Q, d)."""

Memory = tuple[Tensor, Tensor]
"""Keys and values, in the shape that `FewQueries.memory` gives them."""


def attend_by(kind: str) -> Attend:
    """The kernel named `sdpa`, `eager` or `flash_attention_2`.

    flash-attn takes no mask, so that SDPA is used where there is one. Raises KeyError for others.
    """
    return {"sdpa": _sdpa, "eager": _eager, "flash_attention_2": _flash}[kind]


def _sdpa(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)


class FewQueries:
    """Attention for the steps of a decoder: few queries over many keys, again and again.

    PyTorch's kernel is made for blocks of queries. On a CPU two plain matrix products are faster:
    keys, values and masks are reshaped for them once and used in many steps. On CUDA a kernel of
    our own is, unless attention is to be written out.
    """

    def __init__(self, attend: Attend, weight: Tensor) -> None:
        """`weight` is one of the model's: it tells device and number format."""
        self._attend = attend
        self._is_flat = weight.device.type == "cpu"
        self._few: Any = None
        if kernels.suit(weight) and attend is not _eager:
            from florence_annotate.model.kernels.attention import attend_few  # it loads Triton

            self._few = attend_few

    def memory(self, keys: Tensor, values: Tensor) -> Memory:
        """Views of keys and values (N, H, K, d), as a call takes them."""
        if self._is_flat:
            return keys.flatten(0, 1).transpose(1, 2), values.flatten(0, 1)
        return keys, values

    def mask(self, mask: Tensor, heads: int) -> Tensor:
        """A mask (N, 1, Q, K) that is added to the scores, as a call takes it, in every layer."""
        if self._few:
            return mask
        whole = mask.expand(-1, heads, -1, -1).contiguous()
        return whole.flatten(0, 1) if self._is_flat else whole

    def __call__(self, query: Tensor, memory: Memory, mask: Tensor) -> Tensor:
        """Queries (N, Q, H, d) → values mixed, (N · Q, H · d)."""
        if self._few:
            mixed: Tensor = self._few(query, *memory, mask)
            return mixed
        count, queries, heads, width = query.shape
        query = query.transpose(1, 2)
        if self._is_flat:
            keys, values = memory
            likeness = torch.baddbmm(mask, query.flatten(0, 1), keys, alpha=width**-0.5)
            mixed = torch.bmm(likeness.softmax(2), values).view(count, heads, queries, width)
        else:
            mixed = self._attend(query, *memory, mask)
        return mixed.transpose(1, 2).reshape(count * queries, heads * width)


def _eager(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    likeness = (query @ key.transpose(2, 3)) * query.shape[3] ** -0.5
    if mask is not None:
        likeness = likeness + mask
    return torch.softmax(likeness, dim=3) @ value


def _flash(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    if mask is not None:
        return _sdpa(query, key, value, mask)
    from flash_attn import flash_attn_func

    mixed: Tensor = flash_attn_func(*(t.transpose(1, 2) for t in (query, key, value)))
    return mixed.transpose(1, 2)
