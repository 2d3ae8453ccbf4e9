"""What to do when memory runs out, and whether freed memory goes back to the system."""

import ctypes
import gc
import sys
from typing import Any

import torch

# parameters of mallopt, from glibc's malloc.h
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_NEVER = -1
_SMALL, _LARGE = 1 << 17, 1 << 30


_SIGNS = (
    "out of memory",  # CUDA's allocator and its runtime, HIP, XPU, MPS
    "alloc_failed",  # cuBLAS, cuDNN, cuSPARSE and their kin on HIP, as the name of a status
    "allocation_failed",  # cuDNN from version 9 on
    "invalid buffer size",  # MPS, for a tensor that is larger than any buffer may be
    "can't allocate memory",  # PyTorch's allocator on CPUs
    "not enough memory",  # the same on Windows
    "bad_alloc",  # C++
    "could not create a primitive",  # oneDNN
)
"""Words, in lower case, in the messages of errors that are a RuntimeError like any other."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, or one during which it was raised, says that memory ran out."""
    return _shortage(error) is not None


def say_out_of_memory(error: BaseException) -> str:
    """The first line of an error that says that memory ran out; raises any other error again."""
    shortage = _shortage(error)
    if shortage is None:
        raise error
    return (str(shortage) or "out of memory").strip().splitlines()[0]


def _shortage(error: BaseException | None) -> BaseException | None:
    while error is not None:
        is_known = isinstance(error, torch.OutOfMemoryError | MemoryError)
        if is_known or any(sign in str(error).lower() for sign in _SIGNS):
            return error
        # where memory runs out in a capture, leaving that fails too
        error = error.__cause__ or error.__context__
    return None


def keep_freed_memory() -> None:
    """Let the process keep memory that tensors have freed, and use it again.

    Otherwise glibc asks the system for every tensor of over 32 MB, and gets zeroed pages of 4 KB
    with a page fault each: on a CPU that took as long as the matrix products of the vision tower
    (docs/performance.md). In return the process stays as large as it once was. Nothing is changed
    without glibc, nor where the process's address space is limited (`ulimit -v`), since memory
    that is kept is in pieces and its addresses would be missing for larger tensors.
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
    """Give freed memory back to the system, now and from now on: for when memory ran out."""
    gc.collect()  # tensors whose owners refer to each other
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
