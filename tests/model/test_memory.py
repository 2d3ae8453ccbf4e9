"""Errors that say that memory ran out, and what is kept or given back."""

import resource
import subprocess
import sys

import pytest
import torch

from florence_annotate.model import memory


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 12 bytes"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 12 bytes"),
        RuntimeError("could not create a primitive"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
        RuntimeError(
            "HIP error: out of memory\nHIP kernel errors might be asynchronously reported"
        ),
        RuntimeError("Invalid buffer size: 24.00 GiB"),
    ],
)
def test_memory_that_runs_out_is_recognised_and_told_in_one_line(error: BaseException) -> None:
    assert memory.is_out_of_memory(error)
    told = memory.say_out_of_memory(error)
    assert told and "\n" not in told


def test_memory_that_ran_out_in_a_capture_is_recognised_by_the_error_that_follows() -> None:
    """torch.cuda.graph ends a capture that failed with an error about just that."""
    with pytest.raises(RuntimeError) as raised:
        try:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        finally:
            raise RuntimeError("operation failed due to a previous error during capture")
    assert memory.say_out_of_memory(raised.value).startswith("CUDA out of memory")


def test_any_other_error_is_raised_again() -> None:
    error = RuntimeError("shapes do not match")
    assert not memory.is_out_of_memory(error)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        memory.say_out_of_memory(error)


CHILD = """
import resource, sys, torch
from florence_annotate.model import memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def use():
    before = faults()
    for _ in range(5):
        torch.ones(16 << 20)  # 64 MB
    return faults() - before

use()
memory.keep_freed_memory()
use(), use(), use()
kept = use()
memory.give_back_freed_memory()
print(kept, use())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc alone has the call")
def test_freed_memory_is_used_again_until_it_is_to_be_given_back() -> None:
    if resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
        pytest.skip("addresses are limited here, and then nothing is kept")
    done = subprocess.run(
        [sys.executable, "-c", CHILD], capture_output=True, text=True, timeout=200, check=True
    )
    kept, given_back = map(int, done.stdout.split())
    assert kept * 2 < given_back
