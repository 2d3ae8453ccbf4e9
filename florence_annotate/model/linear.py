"""Linear layers, by the fastest product that this machine has for them.

On CPUs PyTorch hands float32 products to MKL, which leaves half of what AVX-512 can do unused on
processors of another maker; oneDNN, which comes with PyTorch too, does not, and applies bias and
GELU while a tile is at hand. PyTorch's own compiler calls it by the operator that is used here
(torch/_inductor/fx_passes/mkldnn_fusion.py). docs/performance.md has the measurements.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_ONEDNN: Any = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
_PACK: Any = getattr(torch.ops.mkldnn, "_reorder_linear_weight", None)
_DTYPES = (torch.float32, torch.bfloat16)

_SMALL = 1 << 21
"""Multiplications below which calling oneDNN costs more than it saves."""
_SMALL_PACKED = 1 << 20
_ROWS_PACKED_FOR = 16
"""A hint for the layout; other numbers of rows are right too."""


@dataclass(frozen=True, slots=True)
class Affine:
    """A linear layer."""

    weight: Tensor
    """(out, in)"""
    bias: Tensor | None
    """(out,)"""
    packed: Tensor | None = None
    """The weight once more as oneDNN likes to read it, where the rows are too few to hide that."""


Norm = tuple[Tensor, Tensor, float]
"""Weight, bias and epsilon of a layer normalisation."""


def affine(layer: nn.Linear) -> Affine:
    return Affine(layer.weight, layer.bias)


def pack(layer: Affine) -> Affine:
    """The layer with its weight packed, on a CPU; it takes its memory twice then."""
    if _PACK is None or not _suits_onednn(layer.weight):
        return layer
    packed = _PACK(layer.weight.detach(), _ROWS_PACKED_FOR)
    return Affine(layer.weight, layer.bias, packed)


def norm(layer: nn.LayerNorm) -> Norm:
    return layer.weight, layer.bias, layer.eps


def normalise(states: Tensor, layer: Norm) -> Tensor:
    weight, bias, epsilon = layer
    return torch.layer_norm(states, weight.shape, weight, bias, epsilon)


def join(*layers: nn.Linear) -> Affine:
    """Layers that read the same as one; they keep their values as views of it."""
    weight = torch.cat([layer.weight.data for layer in layers])
    bias = torch.cat([layer.bias.data for layer in layers])
    start = 0
    for layer in layers:
        end = start + layer.out_features
        layer.weight.data, layer.bias.data = weight[start:end], bias[start:end]
        start = end
    return Affine(weight, bias)


def linear(states: Tensor, layer: Affine, *, gelu: bool = False) -> Tensor:
    """States (…, in) through a linear layer, and through GELU (the exact one) where asked."""
    work = states.numel() * layer.weight.shape[0]
    weight = None
    if layer.packed is not None:
        weight = layer.packed if work >= _SMALL_PACKED else None
    elif work >= _SMALL and _suits_onednn(states):
        weight = layer.weight
    if weight is not None:
        fused: Tensor = _ONEDNN(states, weight, layer.bias, "gelu" if gelu else "none", [], "none")
        return fused
    out = functional.linear(states, layer.weight, layer.bias)
    return functional.gelu(out) if gelu else out


def _suits_onednn(tensor: Tensor) -> bool:
    if torch.compiler.is_compiling():
        return False  # the compiler has its own way to oneDNN
    return _ONEDNN is not None and tensor.device.type == "cpu" and tensor.dtype in _DTYPES


def feed_forward(states: Tensor, inner: Affine, outer: Affine, activation: nn.Module) -> Tensor:
    """Two layers with an activation between them."""
    # the exact GELU, which Florence-2 uses, and none of its approximations
    if getattr(activation, "act", None) is functional.gelu:
        return linear(linear(states, inner, gelu=True), outer)
    return linear(activation(linear(states, inner)), outer)
