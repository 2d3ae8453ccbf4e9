"""What becomes of the memory of tensors that are gone."""

import ctypes
import gc
import sys
from typing import Any

import torch

# parameters of mallopt, from glibc's malloc.h
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_NEVER = -1
_SMALL, _LARGE = 1 << 17, 1 << 30


def keep_freed_memory() -> None:
    """Have the process use freed memory again instead of giving it back to the system.

    glibc asks the system anew for every tensor of over 32 MB, and gets it in zeroed pages of 4 KB,
    one fault each: on a CPU that took as long as the products that fill a vision tower's tensors
    (docs/performance.md). The process then stays as large as it once was. Only glibc has the call;
    elsewhere nothing happens.
    """
    _set_thresholds(mmap=_LARGE, trim=_NEVER)


def give_back_freed_memory() -> None:
    """The opposite, for when memory ran out: also what is freed from now on is given back."""
    gc.collect()  # tensors whose owners know each other
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    _set_thresholds(mmap=_SMALL, trim=_SMALL)
    malloc_trim = _of_glibc("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


def _set_thresholds(mmap: int, trim: int) -> None:
    mallopt = _of_glibc("mallopt")
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, mmap)
        mallopt(_TRIM_THRESHOLD, trim)


def _of_glibc(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
