"""The blocks of the vision tower in plain PyTorch: convolutions, attention, feed-forward networks.

States keep the shape (image, height, width, channel). `vision_fused` has the same for CUDA.
"""

import math
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from florence_annotate.model.attention import Attend
from florence_annotate.model.linear import affine, feed_forward, linear


class Stage:
    """A stage of the tower: states (n, h, w, c) → (n, h', w', c')."""

    def __init__(self, embed: Any, blocks: Any, attend: Attend) -> None:
        self._embed, self._blocks, self._attend = embed, blocks, attend

    def __call__(self, states: Tensor) -> Tensor:
        states = _embed(self._embed, states)
        for block in self._blocks:
            states = _spatial_block(block.spatial_block, states, self._attend)
            states = _channel_block(block.channel_block, states)
        return states


def convolve(convolution: nn.Conv2d, states: Tensor, *, has_bias: bool = True) -> Tensor:
    """A convolution over states (n, h, w, c), whose memory it sees as (n, c, h, w)."""
    one = convolution
    bias = one.bias if has_bias else None
    out = functional.conv2d(
        states.permute(0, 3, 1, 2), one.weight, bias, one.stride, one.padding, groups=one.groups
    )
    return out.permute(0, 2, 3, 1)


def _embed(embed: Any, states: Tensor) -> Tensor:
    """The convolution with which a stage begins: it joins cells, and adds channels."""
    if embed.pre_norm:
        states = embed.norm(states)
    states = convolve(embed.conv, states)
    return states if embed.pre_norm else embed.norm(states)


def _spatial_block(block: Any, states: Tensor, attend: Attend) -> Tensor:
    """Attention within windows, then the feed-forward network."""
    states = convolve(block.conv1, states).add_(states)
    add_window_attention(block.window_attn, block.norm1(states), states, attend)
    states = convolve(block.conv2, states).add_(states)
    return _feed_forward(block, states)


def _channel_block(block: Any, states: Tensor) -> Tensor:
    """Attention among channels, then the feed-forward network."""
    states = convolve(block.conv1, states).add_(states)
    states = states + channel_attention(block.channel_attn, block.norm1(states))
    states = convolve(block.conv2, states).add_(states)
    return _feed_forward(block, states)


def _feed_forward(block: Any, states: Tensor) -> Tensor:
    ffn = block.ffn
    return states.add_(
        feed_forward(block.norm2(states), affine(ffn.fc1), affine(ffn.fc2), ffn.activation_fn)
    )


def add_window_attention(attention: Any, normed: Tensor, states: Tensor, attend: Attend) -> None:
    """Add the attention within each window to `states`, in place."""
    _, height, width, _ = normed.shape
    size = attention.window_size
    right, bottom = -width % size, -height % size
    if right or bottom:  # padding is not masked: in training it was not either
        normed = functional.pad(normed, (0, 0, 0, right, 0, bottom))
    windows = rearrange(normed, "n (a h) (b w) c -> (n a b) (h w) c", h=size, w=size)
    query, key, value = rearrange(
        linear(windows, affine(attention.qkv)),
        "n p (three heads d) -> three n heads p d",
        three=3,
        heads=attention.num_heads,
    ).unbind(0)
    mixed = rearrange(attend(query, key, value, None), "n heads p d -> n p (heads d)")
    mixed = linear(mixed, affine(attention.proj))
    down, across = normed.shape[1] // size, normed.shape[2] // size
    back = rearrange(mixed, "(n a b) (h w) c -> n a h b w c", a=down, b=across, h=size, w=size)
    if right or bottom:
        states += back.reshape(normed.shape)[:, :height, :width]
    else:
        states.view(back.shape).add_(back)


def channel_attention(attention: Any, normed: Tensor) -> Tensor:
    """Each channel becomes a mixture of its group's channels, weighted by how alike they are.

    `normed` (images, height, width, channels) gives the result its shape. With q, k, v (positions,
    channels): softmax(qᵀk / √positions) vᵀ, then the projection. Here the weights are multiplied
    into the projection's matrix, and the values by the result.
    """
    value, mixing = channel_mixing(attention, normed)
    return torch.baddbmm(attention.proj.bias, value, mixing).view(normed.shape)


def channel_mixing(attention: Any, normed: Tensor) -> tuple[Tensor, Tensor]:
    """The two factors of channel attention, but for the projection's bias.

    Values (images, positions, channels), and a matrix (images, channels, channels).
    """
    count, height, width, channels = normed.shape
    positions, groups = height * width, attention.groups
    qkv = linear(normed, affine(attention.qkv))
    query, key, value = qkv.view(count, positions, 3, channels).unbind(2)
    scale = positions**-0.5
    if qkv.dtype is torch.float16:
        # the sum over all positions may be too large for it; a power of two keeps all digits of
        # what is not nearly zero
        before = 2.0 ** math.ceil(math.log2(scale))
        query.mul_(before)
        scale /= before
    weights = torch.softmax(_likeness(query, key, groups) * scale, dim=-1)
    projection = rearrange(attention.proj.weight, "o (g c) -> g c o", g=groups)
    return value, rearrange(weights.transpose(2, 3) @ projection, "n g d o -> n (g d) o")


def _likeness(query: Tensor, key: Tensor, groups: int) -> Tensor:
    """qᵀk within each group, (n, g, C/g, C/g), of queries and keys (n, positions, C)."""
    if query.is_cuda:
        # one large product; that of channels of different groups, which is left out, costs less
        # than to call a small one for each image
        every = torch.bmm(query.transpose(1, 2), key)
        each = rearrange(every, "n (g c) (h d) -> n g c h d", g=groups, h=groups)
        return each.diagonal(dim1=1, dim2=3).permute(0, 3, 1, 2)
    return torch.stack(
        [
            # one image at a time, since its views need no copy for the product
            torch.bmm(
                rearrange(q, "p (g c) -> g c p", g=groups),
                rearrange(k, "p (g d) -> g p d", g=groups),
            )
            for q, k in zip(query, key, strict=True)
        ]
    )
