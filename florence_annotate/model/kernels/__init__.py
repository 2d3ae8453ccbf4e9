"""Kernels of our own for CUDA, in Triton, where PyTorch's would go over memory again and again.

Everything that they compute is also written out in plain PyTorch, which runs elsewhere; tests hold
one to the other. Triton comes with PyTorch's CUDA builds and is loaded at the first use.
"""

from functools import cache
from importlib import import_module
from types import ModuleType

import torch
from torch import Tensor

_DTYPES = (torch.float32, torch.float16, torch.bfloat16)
_OLDEST = (8, 0)
"""The oldest architecture of GPUs that Triton compiles all three number formats for."""


def suit(tensor: Tensor) -> bool:
    """Whether the kernels can be used for tensors of this kind."""
    return tensor.is_cuda and tensor.dtype in _DTYPES and _compile_for(tensor.device)


@cache
def _compile_for(device: torch.device) -> bool:
    return torch.cuda.get_device_capability(device) >= _OLDEST and _is_here()


@cache
def _is_here() -> bool:
    try:
        return isinstance(import_module("triton"), ModuleType)
    except ImportError:
        return False
