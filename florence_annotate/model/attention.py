"""Scaled dot-product attention, by PyTorch, by flash-attn, or written out.

Shapes: N examples, H heads, Q queries, K keys, d a head's width.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

Attend = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]
"""Queries (N, H, Q, d), keys and values (N, H, K, d), a mask to add → mixtures (N, H, Q, d)."""


def attend_by(kind: str) -> Attend:
    """`sdpa`, `eager` or `flash_attention_2`; flash-attn takes no mask, SDPA then stands in."""
    return {"sdpa": _sdpa, "eager": _eager, "flash_attention_2": _flash}[kind]


def _sdpa(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)


def attend_few(attend: Attend) -> Attend:
    """The same for a decoder's step, whose queries are few beside the keys.

    On a CPU two plain products read keys and values faster than SDPA's kernel, which is made for
    blocks of queries.
    """

    def choose(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        if query.device.type != "cpu" or mask is None:
            return attend(query, key, value, mask)
        queries, keys, values = (t.flatten(0, 1) for t in (query, key, value))
        shape = (*query.shape[:3], key.shape[2])
        likeness = torch.baddbmm(
            mask.expand(shape).flatten(0, 1),
            queries,
            keys.transpose(1, 2),
            alpha=query.shape[3] ** -0.5,
        )
        return torch.bmm(likeness.softmax(2), values).view(query.shape)

    return choose


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
