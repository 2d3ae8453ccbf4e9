"""The vision tower's blocks on CUDA: the steps of `vision`, in fewer passes over memory.

What is no product is bound by memory there. So a block's convolution, its residual and the
normalisation behind it are one kernel; windows are attended to where they lie; and the products
that end attention and feed-forward add to the states directly, whose kernel has added their bias
before.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from florence_annotate.model.attention import Attend, attend_by
from florence_annotate.model.kernels import attention, norms
from florence_annotate.model.linear import Norm, affine, linear, norm, normalise
from florence_annotate.model.vision_blocks import add_window_attention, channel_mixing, convolve


@dataclass(frozen=True, slots=True)
class _Convolution:
    """A depthwise convolution and the normalisation behind it."""

    taps: Tensor
    """(9, C)"""
    bias: Tensor
    norm: Norm

    def __call__(self, states: Tensor, following: Tensor | None) -> tuple[Tensor, Tensor]:
        """States with their convolution (and the bias `following`) added, and normalised."""
        return norms.convolve_and_normalise(states, self.taps, self.bias, *self.norm, following)


class FusedStage:
    """A stage of the tower: states (n, h, w, c) → (n, h', w', c')."""

    def __init__(self, embed: Any, blocks: Any, attend: Attend) -> None:
        self._embed = embed
        self._blocks = [
            (_SpatialHalf(block.spatial_block, attend), _FeedForwardHalf(block.spatial_block),
             _ChannelHalf(block.channel_block), _FeedForwardHalf(block.channel_block))
            for block in blocks
        ]  # fmt: skip

    def __call__(self, states: Tensor) -> Tensor:
        embed = self._embed
        if embed.pre_norm:
            states = convolve(embed.conv, normalise(states, norm(embed.norm)))
        else:
            bias = embed.conv.bias  # added with the normalisation, where it costs no time
            states = convolve(embed.conv, states, has_bias=False)
            states = normalise(states, norm(embed.norm), bias)
        for halves in self._blocks:
            for half in halves:
                states = half(states)
        return states


class _SpatialHalf:
    """Attention within windows."""

    def __init__(self, block: Any, attend: Attend) -> None:
        self._before = _convolution(block.conv1, block.norm1)
        self._attention = block.window_attn
        self._attend = attend
        module = block.window_attn
        head_width = module.qkv.in_features // module.num_heads
        self._is_fused = (
            attend is attend_by("sdpa")
            and module.qkv.bias is not None
            and attention.takes_windows(module.window_size, head_width, module.qkv.weight.dtype)
        )

    def __call__(self, states: Tensor) -> Tensor:
        module = self._attention
        if not self._is_fused:
            states, normed = self._before(states, None)
            add_window_attention(module, normed, states, self._attend)
            return states
        states, normed = self._before(states, module.proj.bias)
        qkv = linear(normed, affine(module.qkv))
        mixed = attention.attend_in_windows(
            qkv, module.qkv.bias, module.num_heads, module.window_size
        )
        return _add_product(states, mixed, module.proj.weight)


class _ChannelHalf:
    """Attention among channels."""

    def __init__(self, block: Any) -> None:
        self._before = _convolution(block.conv1, block.norm1)
        self._attention = block.channel_attn

    def __call__(self, states: Tensor) -> Tensor:
        states, normed = self._before(states, self._attention.proj.bias)
        value, mixing = channel_mixing(self._attention, normed)
        states.flatten(1, 2).baddbmm_(value, mixing)
        return states


class _FeedForwardHalf:
    """The feed-forward network."""

    def __init__(self, block: Any) -> None:
        self._before = _convolution(block.conv2, block.norm2)
        self._inner, self._outer = affine(block.ffn.fc1), affine(block.ffn.fc2)
        self._activation: nn.Module = block.ffn.activation_fn

    def __call__(self, states: Tensor) -> Tensor:
        states, normed = self._before(states, self._outer.bias)
        hidden = self._activation(linear(normed, self._inner))
        return _add_product(states, hidden, self._outer.weight)


def _convolution(convolution: nn.Conv2d, normalisation: nn.LayerNorm) -> _Convolution:
    assert convolution.bias is not None
    taps = convolution.weight.detach().reshape(convolution.out_channels, 9).t().contiguous()
    return _Convolution(taps, convolution.bias.detach(), norm(normalisation))


def _add_product(states: Tensor, values: Tensor, weight: Tensor) -> Tensor:
    """Add the values (…, in), multiplied by a weight (out, in), to the states (…, out)."""
    states.flatten(0, -2).addmm_(values.flatten(0, -2), weight.t())
    return states
