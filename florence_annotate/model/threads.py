"""How many threads share the operators of a model on a CPU.

Threads that share an operator wait for each other at its end, hundreds of times an answer. On a
machine that has other work too, one of them is often off its core just then. What an operator takes
must outweigh that wait, which it never does in a small model. How they wait, asleep or spinning,
is settled when PyTorch is loaded (`florence_annotate.cli.main`).
"""

from functools import cache
from typing import Literal

from florence_annotate import cores
from florence_annotate.checkpoints.checkpoint import Checkpoint
from florence_annotate.checkpoints.files import weight_files

_SMALL = 50_000_000
"""Bytes of weights. Florence-2 base has 0.5 GB of them, the embedded checkpoint 6 MB."""


def settle(asked: int | Literal["auto"], checkpoint: Checkpoint) -> int:
    """Set the threads of this process for a model, and say how many they are.

    For `auto` it goes by the cores that there are and the size of the model, never by how busy they
    are: the same command gives the same number.
    """
    import torch

    most = most_threads()  # before it is changed
    count = (1 if _is_small(checkpoint) else most) if asked == "auto" else asked
    torch.set_num_threads(count)
    return count


@cache
def most_threads() -> int:
    """As many as PyTorch began with, which knows of hyperthreads and OMP_NUM_THREADS, but no more
    than a container has time for."""
    import torch

    return min(torch.get_num_threads(), cores.available())


def _is_small(checkpoint: Checkpoint) -> bool:
    return sum(file.stat().st_size for file in weight_files(checkpoint.folder)) < _SMALL
