"""What becomes of the memory of tensors that are gone."""

import ctypes
import sys
from typing import Any

import torch

# parameters of mallopt, from glibc's malloc.h
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_NEVER = -1
_LARGE = 1 << 30


def keep_freed_memory() -> None:
    """Have the process use freed memory again instead of giving it back to the system.

    glibc asks the system anew for every tensor of over 32 MB, and gets it in zeroed pages of 4 KB,
    one fault each: on a CPU that took as long as the products that fill a vision tower's tensors
    (docs/performance.md). The process then stays as large as it once was. Only glibc has the call;
    elsewhere nothing happens.
    """
    mallopt = _of_glibc("mallopt")
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGE)
        mallopt(_TRIM_THRESHOLD, _NEVER)


def give_back_freed_memory() -> None:
    """The opposite, once: for when memory ran out, and others than tensors need some."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    malloc_trim = _of_glibc("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


def _of_glibc(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
