"""CUDA graphs on a CPU: what a capture dispatches is noted, and replayed on the same storages.

As on a device, a replay runs no Python: sizes and numbers are those of the capture. What is made
within the capture belongs to the graph; what it reads from outside is held by a weak reference,
so that a replay over freed tensors is seen, where a device would read whatever lies there.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

WAITING = ("aten::_local_scalar_dense", "aten::nonzero", "aten::is_nonzero", "aten::equal")
"""Operations whose result the host waits for: a capture forbids them."""


@dataclass(frozen=True)
class Outside:
    """A tensor that was there before the capture."""

    storage: StorageWeakRef
    dtype: torch.dtype
    form: tuple[Any, ...]
    """Offset, size, strides."""

    def tensor(self) -> Tensor:
        storage = torch.UntypedStorage._new_with_weak_ptr(self.storage.cdata)
        assert storage is not None, "a replay reads a tensor that has been freed"
        return torch.empty(0, dtype=self.dtype).set_(storage, *self.form)


@dataclass(frozen=True)
class Inside:
    """A tensor that the graph makes itself, by its number."""

    number: int


@dataclass
class Graph:
    """Stands for `torch.cuda.CUDAGraph`."""

    calls: list[tuple[Any, Any, list[int]]] = field(default_factory=list)
    """What is run, its arguments, and the numbers of the tensors that it makes."""
    replays: int = 0

    def replay(self) -> None:
        self.replays += 1
        made: dict[int, Tensor] = {}

        def found(value: Any) -> Any:
            if isinstance(value, Outside):
                return value.tensor()
            return made[value.number] if isinstance(value, Inside) else value

        for run, given, numbers in self.calls:
            args, kwargs = tree_map(found, given)
            made.update(zip(numbers, tensors_of(run(*args, **kwargs)), strict=True))


def tensors_of(out: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor)]


class Capture(TorchDispatchMode):
    """Notes every call in a graph, and in the end undoes what was written to tensors outside."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self._graph = graph
        self._made: list[Tensor] = []
        """Kept, so that each has an id of its own."""
        self._numbers: dict[int, int] = {}
        self._written: list[tuple[Tensor, Tensor]] = []

    def __torch_dispatch__(self, run: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert run._schema.name not in WAITING, f"{run._schema.name} in a capture"
        given = args, kwargs or {}
        noted = tree_map(self._noted, given)
        for parameter, value in zip(run._schema.arguments, args, strict=False):
            if parameter.alias_info is not None and parameter.alias_info.is_write:
                self._written.append((value, value.clone()))
        out = run(*args, **given[1])
        numbers = []
        for tensor in tensors_of(out):
            self._numbers[id(tensor)] = len(self._made)
            numbers.append(len(self._made))
            self._made.append(tensor)
        self._graph.calls.append((run, noted, numbers))
        return out

    def _noted(self, value: Any) -> Any:
        if not isinstance(value, Tensor) or value.is_mkldnn:  # a packed weight, which no GPU has
            return value
        if id(value) in self._numbers:
            return Inside(self._numbers[id(value)])
        form = value.storage_offset(), value.size(), value.stride()
        return Outside(StorageWeakRef(value.untyped_storage()), value.dtype, form)

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        for tensor, before in reversed(self._written):
            tensor.copy_(before)


@dataclass
class Emulation:
    """What was captured, by the functions of `torch.cuda` that stand in `emulate`."""

    graphs: list[Graph] = field(default_factory=list)
    pools: list[object] = field(default_factory=list)
    """Of each capture."""
    streams: list[object] = field(default_factory=list)
    """Of each capture: the device for which it was made."""

    @property
    def replays(self) -> int:
        return sum(graph.replays for graph in self.graphs)


def emulate(patch: pytest.MonkeyPatch) -> Emulation:
    """Put the emulation in the place of CUDA's graphs, streams and pools."""
    done = Emulation()

    @contextmanager
    def graph(graph: Graph, pool: object = None, stream: object = None) -> Iterator[None]:
        done.graphs.append(graph)
        done.pools.append(pool)
        done.streams.append(stream)
        with Capture(graph):
            yield

    patch.setattr(torch.cuda, "CUDAGraph", Graph)
    patch.setattr(torch.cuda, "graph", graph)
    patch.setattr(torch.cuda, "graph_pool_handle", object)
    patch.setattr(torch.cuda, "Stream", lambda device=None: ("stream of", device))
    patch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    patch.setattr(torch.cuda, "synchronize", lambda device=None: None)
    return done
