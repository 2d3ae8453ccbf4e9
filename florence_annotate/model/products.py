"""Linear layers, by the fastest product that this machine has for them.

On CPUs PyTorch hands float32 products to MKL, which leaves half of what AVX-512 can do unused on
processors of another maker; oneDNN, which comes with PyTorch too, does not, and applies bias and
GELU while a tile is at hand. PyTorch's own compiler calls it by the operator that is used here
(torch/_inductor/fx_passes/mkldnn_fusion.py). docs/performance.md has the measurements.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

Affine = tuple[Tensor, Tensor | None]
"""Weight (out, in) and bias (out,) of a linear layer."""

_SMALL = 1 << 21
"""Multiplications below which calling oneDNN costs more than it saves."""
_SMALL_WITH_GELU = 1 << 19
"""The same where it spares a pass for GELU."""

Norm = tuple[Tensor, Tensor, float]
"""Weight, bias and epsilon of a layer normalisation."""


def affine(layer: nn.Linear) -> Affine:
    return layer.weight, layer.bias


def norm(layer: nn.LayerNorm) -> Norm:
    return layer.weight, layer.bias, layer.eps


def normalise(states: Tensor, layer: Norm) -> Tensor:
    weight, bias, epsilon = layer
    return functional.layer_norm(states, weight.shape, weight, bias, epsilon)


def join(*layers: nn.Linear) -> Affine:
    """Layers that read the same as one; they keep their values as views of it."""
    weight = torch.cat([layer.weight.data for layer in layers])
    bias = torch.cat([layer.bias.data for layer in layers])
    start = 0
    for layer in layers:
        end = start + layer.out_features
        layer.weight.data, layer.bias.data = weight[start:end], bias[start:end]
        start = end
    return weight, bias


def linear(states: Tensor, layer: Affine, *, gelu: bool = False) -> Tensor:
    """States (…, in) through a linear layer, and through GELU (the exact one) where asked."""
    weight, bias = layer
    if _suits_onednn(states, weight, _SMALL_WITH_GELU if gelu else _SMALL):
        out: Tensor = torch.ops.mkldnn._linear_pointwise(
            states, weight, bias, "gelu" if gelu else "none", [], "none"
        )
        return out
    out = functional.linear(states, weight, bias)
    return functional.gelu(out) if gelu else out


def _suits_onednn(states: Tensor, weight: Tensor, least: int) -> bool:
    return (
        states.device.type == "cpu"
        and states.dtype in (torch.float32, torch.bfloat16)
        and states.numel() * weight.shape[0] >= least
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


def feed_forward(states: Tensor, inner: Affine, outer: Affine, activation: nn.Module) -> Tensor:
    """Two layers with an activation between them."""
    # the exact GELU, which Florence-2 uses, and none of its approximations
    if getattr(activation, "act", None) is functional.gelu:
        return linear(linear(states, inner, gelu=True), outer)
    return linear(activation(linear(states, inner)), outer)
