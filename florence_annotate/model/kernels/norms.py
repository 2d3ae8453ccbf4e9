"""Layer normalisation together with what comes before it: a sum, or a depthwise convolution.

Alone, each of these steps reads and writes all states, and takes as long as memory does. Here they
are read once; sums and statistics are in float32. Offsets have 64 bits: the first stage of the
vision tower alone may have more than 2³¹ values.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

_TILE = 2048
"""About how many values a program of `_normalise` takes at once, where there are many rows."""
_MANY = 4096
"""Rows from which on programs take several."""
_CONVOLVED = 4096
"""About how many values a program of `_convolve_and_normalise` takes."""


def normalise(
    states: Tensor, added: Tensor | None, weight: Tensor, bias: Tensor, epsilon: float
) -> Tensor:
    """Layer normalisation of states (…, D), or of their sum with `added`, (…, D) or (D,)."""
    states = states.contiguous()
    width = states.shape[-1]
    rows = states.numel() // width
    block = triton.next_power_of_2(width)
    together = max(1, _TILE // block) if rows >= _MANY else 1
    out = torch.empty_like(states)
    _normalise[(triton.cdiv(rows, together),)](
        states,
        states if added is None else added.contiguous(),
        weight,
        bias,
        out,
        rows,
        0 if added is None or added.dim() == 1 else width,
        epsilon,
        WIDTH=width,
        BLOCK=block,
        ROWS=together,
        ADDS=added is not None,
    )
    return out


def convolve_and_normalise(
    states: Tensor,
    taps: Tensor,
    bias: Tensor,
    weight: Tensor,
    shift: Tensor,
    epsilon: float,
    following: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """States (n, h, w, C) plus their depthwise convolution, 3 × 3, and that sum normalised.

    `taps` (9, C) and `bias` (C,) are the convolution's, `weight` and `shift` (C,) the
    normalisation's. `following` (C,), a bias of the layer whose product will be added to the sum,
    is already in the sum that is returned, but not in what is normalised.
    """
    states = states.contiguous()
    count, height, width, channels = states.shape
    block = triton.next_power_of_2(channels)
    positions = max(1, _CONVOLVED // block)  # a power of two
    wide = 1 << (positions.bit_length() // 2)  # near a square, whose positions share neighbours
    tall = positions // wide
    down, across = triton.cdiv(height, tall), triton.cdiv(width, wide)
    total, normed = torch.empty_like(states), torch.empty_like(states)
    _convolve_and_normalise[(count * down * across,)](
        states,
        taps,
        bias,
        weight,
        shift,
        states if following is None else following,
        total,
        normed,
        height,
        width,
        down,
        across,
        epsilon,
        CHANNELS=channels,
        BLOCK=block,
        TALL=tall,
        WIDE=wide,
        FOLLOWS=following is not None,
        num_warps=4,
        num_stages=1,
    )
    return total, normed


@triton.jit
def _normed(values, inside, column, weight, shift, epsilon, WIDTH: tl.constexpr):
    """Rows of float32 values, normalised; outside of `inside` they are zero."""
    mean = tl.sum(values, 1) / WIDTH
    centred = tl.where(inside, values - mean[:, None], 0.0)
    variance = tl.sum(centred * centred, 1) / WIDTH
    scaled = centred * tl.rsqrt(variance + epsilon)[:, None]
    used = column < WIDTH
    slope = tl.load(weight + column, mask=used, other=0.0).to(tl.float32)
    return scaled * slope + tl.load(shift + column, mask=used, other=0.0).to(tl.float32)


@triton.jit
def _normalise(
    states,
    added,
    weight,
    shift,
    out,
    rows,
    added_stride,
    epsilon,
    WIDTH: tl.constexpr,
    BLOCK: tl.constexpr,
    ROWS: tl.constexpr,
    ADDS: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, BLOCK)
    inside = (row < rows)[:, None] & (column < WIDTH)[None, :]
    at = row[:, None] * WIDTH + column
    values = tl.load(states + at, mask=inside, other=0.0).to(tl.float32)
    if ADDS:
        more = added + row[:, None] * added_stride + column
        values += tl.load(more, mask=inside, other=0.0).to(tl.float32)
    normed = _normed(values, inside, column, weight, shift, epsilon, WIDTH)
    tl.store(out + at, normed, mask=inside)


@triton.jit
def _convolve_and_normalise(
    states,
    taps,
    bias,
    weight,
    shift,
    following,
    total,
    normed,
    height,
    width,
    down,
    across,
    epsilon,
    CHANNELS: tl.constexpr,
    BLOCK: tl.constexpr,
    TALL: tl.constexpr,
    WIDE: tl.constexpr,
    FOLLOWS: tl.constexpr,
):
    """A program takes TALL × WIDE positions with all their channels."""
    tile = tl.program_id(0)
    image = (tile // (down * across)).to(tl.int64)
    place = tl.arange(0, TALL * WIDE)
    y = tile // across % down * TALL + place // WIDE
    x = tile % across * WIDE + place % WIDE
    column = tl.arange(0, BLOCK)
    used = column < CHANNELS
    inside = ((y < height) & (x < width))[:, None] & used[None, :]
    at = ((image * height + y) * width + x)[:, None] * CHANNELS + column
    sums = tl.load(states + at, mask=inside, other=0.0).to(tl.float32)
    sums += tl.load(bias + column, mask=used, other=0.0).to(tl.float32)
    for down_by in range(-1, 2):  # no static one: nine loads at once leave few registers
        is_row_seen = (y + down_by >= 0) & (y + down_by < height)
        for right_by in tl.static_range(-1, 2):
            is_seen = is_row_seen & (x + right_by >= 0) & (x + right_by < width)
            near = states + at + (down_by * width + right_by) * CHANNELS
            seen = tl.load(near, mask=is_seen[:, None] & used[None, :], other=0.0)
            tap = taps + (3 * down_by + right_by + 4) * CHANNELS + column
            factor = tl.load(tap, mask=used, other=0.0)
            sums += seen.to(tl.float32) * factor.to(tl.float32)
    sums = tl.where(inside, sums, 0.0)
    scaled = _normed(sums, inside, column, weight, shift, epsilon, CHANNELS)
    tl.store(normed + at, scaled, mask=inside)
    if FOLLOWS:
        sums += tl.load(following + column, mask=used, other=0.0).to(tl.float32)
    tl.store(total + at, sums, mask=inside)
