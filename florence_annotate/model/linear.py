"""Linear layers, by the fastest matrix product that PyTorch has for them on this machine.

On CPUs PyTorch leaves float32 products to MKL, which uses half of AVX-512 on processors that are
not Intel's. oneDNN, which comes with PyTorch too, has no such limit, and applies bias and GELU in
the same pass. PyTorch's own compiler calls it by the operator that is used here
(torch/_inductor/fx_passes/mkldnn_fusion.py). docs/performance.md has the measurements.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from florence_annotate.model import kernels

_ONEDNN: Any = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
_PACK: Any = getattr(torch.ops.mkldnn, "_reorder_linear_weight", None)
_DTYPES = (torch.float32, torch.bfloat16)

_SMALL = 1 << 21
"""Multiplications below which calling oneDNN costs more than it saves."""
_SMALL_PACKED = 1 << 20
"""The same for a weight that is packed."""
_ROWS_PACKED_FOR = 16
"""The number of rows that packing is tuned for; with others the result is right too."""


@dataclass(frozen=True, slots=True)
class Affine:
    """The weights of a linear layer."""

    weight: Tensor
    """(out, in)"""
    bias: Tensor | None
    """(out,)"""
    packed: Tensor | None = None
    """The weight once more in the order in which oneDNN reads it; with few rows that is faster."""


Norm = tuple[Tensor, Tensor, float]
"""Weight, bias and epsilon of a layer normalisation."""


def affine(layer: nn.Linear) -> Affine:
    """The weights of a module."""
    return Affine(layer.weight, layer.bias)


def pack(layer: Affine) -> Affine:
    """The layer with its weight packed, where oneDNN is used; its weight is then kept twice."""
    if _PACK is None or not _suits_onednn(layer.weight):
        return layer
    packed = _PACK(layer.weight.detach(), _ROWS_PACKED_FOR)
    return Affine(layer.weight, layer.bias, packed)


def norm(layer: nn.LayerNorm) -> Norm:
    """The weights of a module."""
    return layer.weight, layer.bias, layer.eps


def normalise(states: Tensor, layer: Norm, added: Tensor | None = None) -> Tensor:
    """Layer normalisation of states (…, D) over their last dimension, or of states + `added`."""
    weight, bias, epsilon = layer
    if kernels.suit(states):
        from florence_annotate.model.kernels.norms import normalise  # it loads Triton

        return normalise(states, added, weight, bias, epsilon)
    if added is not None:
        states = states + added
    return torch.layer_norm(states, weight.shape, weight, bias, epsilon)


def pad(layer: nn.Linear, multiple: int) -> Affine:
    """A layer with zeros behind its own outputs, so that their number is a multiple of this.

    Its own weight becomes a view of the longer one.
    """
    size = layer.out_features
    missing = -size % multiple
    weight = functional.pad(layer.weight.data, (0, 0, 0, missing))
    layer.weight.data = weight[:size]
    bias = None if layer.bias is None else functional.pad(layer.bias.data, (0, missing))
    return Affine(weight, bias)


def join(*layers: nn.Linear) -> Affine:
    """Several layers with the same input as one; their own weights become views of it."""
    weight = torch.cat([layer.weight.data for layer in layers])
    bias = torch.cat([layer.bias.data for layer in layers])
    start = 0
    for layer in layers:
        end = start + layer.out_features
        layer.weight.data, layer.bias.data = weight[start:end], bias[start:end]
        start = end
    return Affine(weight, bias)


def linear(states: Tensor, layer: Affine, *, gelu: bool = False) -> Tensor:
    """States (…, in) → (…, out) by a linear layer, then by the exact GELU if `gelu`."""
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
    """States (…, D) → (…, D) by two linear layers with an activation between them."""
    # Florence-2 uses the exact GELU, as oneDNN does; an approximation would give other values
    if getattr(activation, "act", None) is functional.gelu:
        return linear(linear(states, inner, gelu=True), outer)
    return linear(activation(linear(states, inner)), outer)
