"""How the steps of the decode loop are run: called, or on CUDA captured as graphs and replayed.

A step looks at the first rows and at their first positions; a graph is bound to their numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import torch
from torch import Tensor

Size = tuple[int, int]
"""How many rows and how many positions a step looks at."""


class Step(Protocol):
    """A call makes one token in every row. It holds all tensors that it reads and writes."""

    def __call__(self) -> None: ...

    def state(self) -> list[Tensor]:
        """The tensors that it changes. To others it may write what, repeated, is the same."""


class Stepping(Protocol):
    """A way of running steps."""

    look_every: int
    """Steps between two looks at which rows are done."""

    def rounded(self, rows: int, positions: int) -> Size:
        """The size to ask for where at least this much is needed."""

    def run(self, size: Size, make: Callable[[Size], Step]) -> None:
        """Run a step of this size; `make` makes one."""

    def forget(self) -> None:
        """Let go of the steps that were made, and so of their tensors."""


def stepping_on(device: torch.device) -> Stepping:
    """The way that suits a device."""
    return Graphs(device) if device.type == "cuda" else Calls()


class Calls:
    """Calls each step; the last one is kept, since the next mostly has its size."""

    look_every = 1

    def __init__(self) -> None:
        self._last: tuple[Size, Step] | None = None

    def rounded(self, rows: int, positions: int) -> Size:
        return rows, _round_up(positions, 8)

    def run(self, size: Size, make: Callable[[Size], Step]) -> None:
        if self._last is None or self._last[0] != size:
            self._last = size, make(size)
        self._last[1]()

    def forget(self) -> None:
        self._last = None


class Graphs:
    """Captures a step of each size as a CUDA graph, and replays that.

    A graph reads and writes at the addresses that the tensors had in the capture: it is kept
    together with its step, which holds them. What is made within a step lies in a pool that all
    graphs share: they run one after the other, and none needs what an earlier one made there.
    """

    look_every = 8  # each look waits for the device

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.forget()

    def rounded(self, rows: int, positions: int) -> Size:
        # few graphs, since each takes as long as many steps to capture
        return 1 << (rows - 1).bit_length(), _round_up(positions, 64)

    def run(self, size: Size, make: Callable[[Size], Step]) -> None:
        if size not in self._captured:
            self._captured[size] = self._capture(make(size))
        self._captured[size].graph.replay()

    def forget(self) -> None:
        self._captured: dict[Size, _Captured] = {}
        # a new one: PyTorch refuses to capture into a pool whose graphs are all gone
        self._pool = torch.cuda.graph_pool_handle()

    def _capture(self, step: Step) -> "_Captured":
        """Capturing leaves everything as it is; the device must be idle before and after."""
        stream = _capture_stream(self._device)
        torch.cuda.synchronize(self._device)
        with torch.cuda.stream(stream):
            try_out(step)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self._pool, stream=stream):
                step()
        return _Captured(graph, step)


@dataclass(frozen=True, slots=True)
class _Captured:
    graph: torch.cuda.CUDAGraph
    step: Step
    """What keeps the graph's tensors alive."""


@cache
def _capture_stream(device: torch.device) -> torch.cuda.Stream:
    """One for all graphs of a device: cuBLAS has a workspace for each stream, of up to 32 MiB.

    PyTorch's own would be on whatever device was the first to capture.
    """
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def try_out(step: Step) -> None:
    """Make a step and take it back, so that libraries allocate now what a capture forbids."""
    state = step.state()
    held = [tensor.clone() for tensor in state]
    step()
    for tensor, before in zip(state, held, strict=True):
        tensor.copy_(before)


def _round_up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple
