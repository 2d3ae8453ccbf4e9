"""Attention where PyTorch's kernels waste most: in small windows, and with few queries.

Those are made for long rows of queries: a window of 144 positions fills blocks of 192 × 256, and
has to be gathered first; three queries fill a block of 64. Sums and softmax are in float32.
"""

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

_FEWEST = 16
"""The smallest side of a matrix that Triton multiplies."""
_MOST_IN_WINDOW = 256
"""Positions of a window whose scores a program can hold at once."""
_KEYS = 64
"""Keys that a program of `_attend_few` looks at together."""
_LOG2_E = math.log2(math.e)
"""In the scale of scores, since the kernels take powers of two."""


def takes_windows(size: int, head_width: int, dtype: torch.dtype) -> bool:
    """Whether `attend_in_windows` takes windows of `size` × `size` positions.

    Not in float32, for which tensor cores have no product and Triton compiles for half a minute.
    """
    return dtype.itemsize == 2 and size**2 <= _MOST_IN_WINDOW and head_width <= 128


def attend_in_windows(qkv: Tensor, bias: Tensor, heads: int, size: int) -> Tensor:
    """Attention within windows of `size` × `size` positions: (n, h, w, 3 · C) → (n, h, w, C).

    `qkv` holds queries, keys and values side by side. Where a window reaches over the edge, its
    positions there have the `bias` (3 · C,), what the projection makes of zeros.
    """
    count, height, width, _ = qkv.shape
    channels = qkv.shape[3] // 3
    head_width = channels // heads
    positions = size**2
    most = max(_FEWEST, 1 << (positions.bit_length() - 1))  # as a sum of two powers of two
    rest = max(_FEWEST, triton.next_power_of_2(positions - most)) if positions > most else 0
    down, across = triton.cdiv(height, size), triton.cdiv(width, size)
    out = torch.empty((count, height, width, channels), dtype=qkv.dtype, device=qkv.device)
    _attend_in_windows[(count * down * across * heads,)](
        qkv,
        bias,
        out,
        height,
        width,
        down,
        across,
        heads,
        head_width**-0.5 * _LOG2_E,
        HEAD=head_width,
        BLOCK=max(_FEWEST, triton.next_power_of_2(head_width)),
        SIZE=size,
        QUERIES=min(64, most),
        MOST=most,
        REST=rest,
        PADS=bool(height % size or width % size),
        num_warps=4,
    )
    return out


def attend_few(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """Queries (N, Q, H, d) over keys and values (N, H, K, d) → values mixed, (N · Q, H · d).

    `mask` (N, 1, Q, K) is added to the scores. Keys and values have the same strides.
    """
    count, queries, heads, width = query.shape
    out = torch.empty((count * queries, heads * width), dtype=query.dtype, device=query.device)
    _attend_few[(count * heads,)](
        query,
        keys,
        values,
        mask,
        out,
        keys.shape[2],
        query.stride(0),
        query.stride(1),
        keys.stride(0),
        keys.stride(1),
        mask.stride(0),
        mask.stride(2),
        width**-0.5 * _LOG2_E,
        HEADS=heads,
        COUNT=queries,
        QUERIES=max(_FEWEST, triton.next_power_of_2(queries)),
        HEAD=width,
        BLOCK=max(_FEWEST, triton.next_power_of_2(width)),
        KEYS=_KEYS,
        LOG2_E=_LOG2_E,
        num_warps=2,
        num_stages=3,
    )
    return out


@triton.jit
def _part(
    qkv,
    bias,
    part,
    first,
    image,
    top,
    left,
    head,
    height,
    width,
    heads,
    COUNT: tl.constexpr,
    HEAD: tl.constexpr,
    BLOCK: tl.constexpr,
    SIZE: tl.constexpr,
    PADS: tl.constexpr,
):
    """Queries, keys or values (COUNT, BLOCK) of a window's head, from its position `first` on.

    Also where they lie in a tensor of one part, and which of them lie within the image.
    """
    position = first + tl.arange(0, COUNT)
    column = tl.arange(0, BLOCK)
    y, x = top + position // SIZE, left + position % SIZE
    inside = position < SIZE * SIZE
    if PADS:
        inside = inside & (y < height) & (x < width)
    row = (image * height + y) * width + x
    at = head * HEAD + column
    used = inside[:, None] & (column < HEAD)[None, :]
    start = qkv + part * heads * HEAD
    values = tl.load(start + row[:, None] * (3 * heads * HEAD) + at, mask=used, other=0.0)
    if PADS:
        padding = tl.load(bias + part * heads * HEAD + at, mask=column < HEAD, other=0.0)
        values = tl.where(inside[:, None], values, padding[None, :])
    return values, row[:, None] * (heads * HEAD) + at, used


@triton.jit
def _attend_in_windows(
    qkv,
    bias,
    out,
    height,
    width,
    down,
    across,
    heads,
    scale,
    HEAD: tl.constexpr,
    BLOCK: tl.constexpr,
    SIZE: tl.constexpr,
    QUERIES: tl.constexpr,
    MOST: tl.constexpr,
    REST: tl.constexpr,
    PADS: tl.constexpr,
):
    """A program takes a head of a window: its keys in one part of MOST, and in one of REST."""
    window = tl.program_id(0) // heads
    head = tl.program_id(0) % heads
    image = (window // (down * across)).to(tl.int64)
    top = window // across % down * SIZE
    left = window % across * SIZE
    keys, _, _ = _part(qkv, bias, 1, 0, image, top, left, head, height, width,
                       heads, MOST, HEAD, BLOCK, SIZE, PADS)  # fmt: skip
    values, _, _ = _part(qkv, bias, 2, 0, image, top, left, head, height, width,
                         heads, MOST, HEAD, BLOCK, SIZE, PADS)  # fmt: skip
    if REST:
        more_keys, _, _ = _part(qkv, bias, 1, MOST, image, top, left, head, height, width,
                                heads, REST, HEAD, BLOCK, SIZE, PADS)  # fmt: skip
        more_values, _, _ = _part(qkv, bias, 2, MOST, image, top, left, head, height, width,
                                  heads, REST, HEAD, BLOCK, SIZE, PADS)  # fmt: skip
    for first in tl.static_range(0, SIZE * SIZE, QUERIES):
        query, at, used = _part(qkv, bias, 0, first, image, top, left, head, height, width,
                                heads, QUERIES, HEAD, BLOCK, SIZE, PADS)  # fmt: skip
        likeness = tl.dot(query, tl.trans(keys), input_precision="ieee") * scale
        if MOST > SIZE * SIZE:
            is_there = tl.arange(0, MOST) < SIZE * SIZE
            likeness = tl.where(is_there[None, :], likeness, float("-inf"))
        highest = tl.max(likeness, 1)
        if REST:
            more = tl.dot(query, tl.trans(more_keys), input_precision="ieee") * scale
            is_there = MOST + tl.arange(0, REST) < SIZE * SIZE
            more = tl.where(is_there[None, :], more, float("-inf"))
            highest = tl.maximum(highest, tl.max(more, 1))
        likeness = tl.exp2(likeness - highest[:, None])
        sums = tl.sum(likeness, 1)
        mixed = tl.dot(likeness.to(values.dtype), values, input_precision="ieee")
        if REST:
            more = tl.exp2(more - highest[:, None])
            sums += tl.sum(more, 1)
            mixed = tl.dot(more.to(values.dtype), more_values, mixed, input_precision="ieee")
        tl.store(out + at, mixed / sums[:, None], mask=used)


@triton.jit
def _attend_few(
    query,
    keys,
    values,
    mask,
    out,
    length,
    query_row,
    query_beam,
    key_row,
    key_head,
    mask_row,
    mask_beam,
    scale,
    HEADS: tl.constexpr,
    COUNT: tl.constexpr,
    QUERIES: tl.constexpr,
    HEAD: tl.constexpr,
    BLOCK: tl.constexpr,
    KEYS: tl.constexpr,
    LOG2_E: tl.constexpr,
):
    """A program takes a head of one example, and goes through its keys with a running softmax."""
    row = (tl.program_id(0) // HEADS).to(tl.int64)
    head = tl.program_id(0) % HEADS
    beam, column = tl.arange(0, QUERIES), tl.arange(0, BLOCK)
    is_asked = (beam < COUNT)[:, None] & (column < HEAD)[None, :]
    at = query + row * query_row + beam[:, None] * query_beam + head * HEAD + column
    asked = tl.load(at, mask=is_asked, other=0.0)
    start = row * key_row + head.to(tl.int64) * key_head
    masks = mask + row * mask_row + beam[:, None] * mask_beam
    highest = tl.full((QUERIES,), -1.0e30, tl.float32)  # finite, so that no difference is NaN
    sums = tl.zeros((QUERIES,), tl.float32)
    mixed = tl.zeros((QUERIES, BLOCK), tl.float32)
    for first in range(0, length, KEYS):
        position = first + tl.arange(0, KEYS)
        is_there = position < length
        used = is_there[:, None] & (column < HEAD)[None, :]
        places = start + position[:, None] * HEAD + column
        likeness = tl.dot(
            asked,
            tl.trans(tl.load(keys + places, mask=used, other=0.0)),
            input_precision="ieee",
        )
        penalty = tl.load(
            masks + position[None, :],
            mask=(beam < COUNT)[:, None] & is_there[None, :],
            other=float("-inf"),
        )
        likeness = likeness * scale + penalty.to(tl.float32) * LOG2_E
        higher = tl.maximum(highest, tl.max(likeness, 1))
        shrunk = tl.exp2(highest - higher)
        likeness = tl.exp2(likeness - higher[:, None])
        sums = sums * shrunk + tl.sum(likeness, 1)
        seen = tl.load(values + places, mask=used, other=0.0)
        mixed = mixed * shrunk[:, None]
        mixed = tl.dot(likeness.to(seen.dtype), seen, mixed, input_precision="ieee")
        highest = higher
    to = out + (row * COUNT + beam[:, None]) * (HEADS * HEAD) + head * HEAD + column
    tl.store(to, mixed / sums[:, None], mask=is_asked)
