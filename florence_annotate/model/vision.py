"""The vision tower: pixels → image features, with the modules and weights of transformers.

The arithmetic is DaViT's (https://arxiv.org/abs/2204.03645) as transformers' `Florence2Model`
does it; a test holds it to that. It is faster by three things:

- Tensors keep the shape (image, height, width, channel) from the first convolution to the last;
  convolutions see the same memory as channels-last. transformers permutes them twice in each block.
- Channel attention is a matrix of C/g by C/g for each of g groups, small beside the values. It is
  multiplied into the output projection first, so that the values pass through one product only.
- The positions of a window are gathered once; they are put back as part of the residual sum.
"""

import math
from typing import Any

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional

from florence_annotate.model.attention import Attend
from florence_annotate.model.linear import affine, feed_forward, linear


def stage_sides(config: Any, side: int) -> list[int]:
    """Cells along a side after each stage of a `vision_config`, for images of `side` pixels."""
    sides = []
    for size, stride, padding in zip(
        config.patch_size, config.patch_stride, config.patch_padding, strict=True
    ):
        side = (side + 2 * padding - size) // stride + 1
        sides.append(side)
    return sides


_MOST_WINDOWS = (1 << 16) - 1
"""The attention kernels that CUDA has run one window in each layer of a grid, which has so many."""
_MOST_VALUES = (1 << 31) - 2
"""Depthwise convolutions on CUDA count the values of a tensor in 32 bits."""


def images_at_once(config: Any, side: int) -> int:
    """How many images of `side` pixels the tower of a `vision_config` may take together."""
    most: list[int] = []
    for cells, channels in zip(stage_sides(config, side), config.embed_dim, strict=True):
        windows = -(-cells // config.window_size)
        most.append(min(_MOST_WINDOWS // windows**2, _MOST_VALUES // (cells**2 * channels)))
    return max(1, min(most))


class VisionTower:
    """Pixels (images, 3, S, S), uint8 → features (images, 1 + cells, d_model).

    The first feature is pooled from all cells of the last stage.
    """

    def __init__(
        self, network: Any, attend: Attend, mean: tuple[float, ...], std: tuple[float, ...]
    ) -> None:
        """`network` is a `Florence2ForConditionalGeneration`; mean and std are of RGB in [0, 1]."""
        self._tower = network.model.vision_tower.to(memory_format=torch.channels_last)
        self._config = network.config.vision_config
        self._attend = attend
        self._projector = network.model.multi_modal_projector
        weight = self._tower.convs[0].conv.weight
        self._dtype = weight.dtype
        self._scale = (1 / (255 * torch.tensor(std))).to(weight.device).view(3, 1, 1)
        self._shift = (-torch.tensor(mean) / torch.tensor(std)).to(weight.device).view(3, 1, 1)

    def __call__(self, pixels: Tensor) -> Tensor:
        parts = torch.split(pixels, images_at_once(self._config, pixels.shape[3]))
        features = [self._encode(part) for part in parts]
        return features[0] if len(features) == 1 else torch.cat(features)

    def _encode(self, pixels: Tensor) -> Tensor:
        states = torch.addcmul(self._shift, pixels, self._scale).to(self._dtype)
        states = rearrange(states, "n c h w -> n h w c")
        for embed, blocks in zip(self._tower.convs, self._tower.blocks, strict=True):
            states = _embed(embed, states)
            for block in blocks:
                states = _spatial_block(block.spatial_block, states, self._attend)
                states = _channel_block(block.channel_block, states)
        features: Tensor = self._projector(rearrange(states, "n h w c -> n c h w"))
        return features


def _convolve(convolution: Any, states: Tensor) -> Tensor:
    """A convolution over states (n, h, w, c), whose memory it sees as (n, c, h, w)."""
    out: Tensor = convolution(states.permute(0, 3, 1, 2))
    return out.permute(0, 2, 3, 1)


def _embed(embed: Any, states: Tensor) -> Tensor:
    """The convolution with which a stage begins: it joins cells, and adds channels."""
    if embed.pre_norm:
        states = embed.norm(states)
    states = _convolve(embed.conv, states)
    return states if embed.pre_norm else embed.norm(states)


def _spatial_block(block: Any, states: Tensor, attend: Attend) -> Tensor:
    """Attention within windows, then the feed-forward network."""
    states = _convolve(block.conv1, states).add_(states)
    _add_window_attention(block.window_attn, block.norm1(states), states, attend)
    states = _convolve(block.conv2, states).add_(states)
    return _feed_forward(block, states)


def _channel_block(block: Any, states: Tensor) -> Tensor:
    """Attention among channels, then the feed-forward network."""
    states = _convolve(block.conv1, states).add_(states)
    states = states + channel_attention(block.channel_attn, block.norm1(states))
    states = _convolve(block.conv2, states).add_(states)
    return _feed_forward(block, states)


def _feed_forward(block: Any, states: Tensor) -> Tensor:
    ffn = block.ffn
    return states.add_(
        feed_forward(block.norm2(states), affine(ffn.fc1), affine(ffn.fc2), ffn.activation_fn)
    )


def _add_window_attention(attention: Any, normed: Tensor, states: Tensor, attend: Attend) -> None:
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
    likeness = torch.stack(
        [
            # one image at a time, since its views need no copy for the product
            torch.bmm(
                rearrange(q, "p (g c) -> g c p", g=groups),
                rearrange(k, "p (g d) -> g p d", g=groups),
            )
            for q, k in zip(query, key, strict=True)
        ]
    )
    weights = torch.softmax(likeness * scale, dim=-1)
    projection = rearrange(attention.proj.weight, "o (g c) -> g c o", g=groups)
    mixing = rearrange(weights.transpose(2, 3) @ projection, "n g d o -> n (g d) o")
    return torch.baddbmm(attention.proj.bias, value, mixing).view(normed.shape)
