"""Memory that runs out, and what becomes of that of tensors that are gone."""

import ctypes
import gc
import sys
from typing import Any

import torch

# parameters of mallopt, from glibc's malloc.h
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_NEVER = -1
_SMALL, _LARGE = 1 << 17, 1 << 30


_SIGNS = ("can't allocate memory", "not enough memory", "could not create a primitive")
"""How the CPU's allocator and oneDNN, which have no exception of their own, say it."""


def is_out_of_memory(error: BaseException) -> bool:
    is_known = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return is_known or any(sign in str(error) for sign in _SIGNS)


def say_out_of_memory(error: BaseException) -> str:
    """What the device said, where it ran out of memory; anything else is raised again."""
    if not is_out_of_memory(error):
        raise error
    return (str(error) or "out of memory").strip().splitlines()[0]


def keep_freed_memory() -> None:
    """Have the process use freed memory again instead of giving it back to the system.

    glibc asks the system anew for every tensor of over 32 MB, and gets it in zeroed pages of 4 KB,
    one fault each: on a CPU that took as long as the products that fill a vision tower's tensors
    (docs/performance.md). The process then stays as large as it once was. Only glibc has the call;
    elsewhere nothing happens. Nor does it where the process's addresses are limited (`ulimit -v`):
    what is kept is in pieces, and addresses are not given back piece by piece.
    """
    if not _are_addresses_limited():
        _set_thresholds(mmap=_LARGE, trim=_NEVER)


def _are_addresses_limited() -> bool:
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return False
    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY


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
