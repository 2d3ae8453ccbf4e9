"""Steps that are captured and replayed, held to steps that are called.

Without a GPU, by an emulation of CUDA's graphs; tests/end_to_end/test_cuda.py is for one.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
import torch
from emulated_graphs import Emulation, emulate
from random_models import answers_to, random_states
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from florence_annotate.model.attention import attend_by
from florence_annotate.model.decoder import Decoder
from florence_annotate.model.florence import Florence
from florence_annotate.model.generation.logit_filters import Rules
from florence_annotate.model.generation.loop import NextTokens
from florence_annotate.model.generation.rows import Rows
from florence_annotate.model.generation.search import BeamSearch, Greedy
from florence_annotate.model.generation.stepping import (
    Calls,
    Graphs,
    Size,
    Step,
    stepping_on,
    try_out,
)
from florence_annotate.types import Generation

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture
def emulation(monkeypatch: pytest.MonkeyPatch) -> Emulation:
    return emulate(monkeypatch)


@pytest.mark.parametrize("beams", [1, 3])
def test_what_a_graph_reads_lives_as_long_as_the_graph(
    model: Florence, emulation: Emulation, beams: int
) -> None:
    """Answers of over 64 tokens and shorter ones in turn: graphs of several widths, in turn."""
    states = random_states(model)
    called = answers_to(model, states, beams, Calls())
    lengths = [len(tokens) > 64 for tokens in called]
    assert any(now and not then for now, then in pairwise(lengths))
    assert answers_to(model, states, beams, Graphs(CPU)) == called
    assert emulation.replays > 10 * len(emulation.graphs)


class Count:
    """A step that counts, and reads a tensor that it alone holds."""

    def __init__(self, counter: torch.Tensor) -> None:
        self.counter, self.one = counter, torch.ones(1)

    def __call__(self) -> None:
        self.counter += self.one

    def state(self) -> list[torch.Tensor]:
        return [self.counter]


def test_a_replay_over_a_freed_tensor_is_seen(emulation: Emulation) -> None:
    """The emulation can fail: a graph without its step reads what is gone."""
    step = Count(torch.zeros(1))
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    graph.replay()
    assert step.counter == 1
    del step.one
    with pytest.raises(AssertionError, match="freed"):
        graph.replay()


def test_graphs_of_a_device_share_a_pool_until_they_are_forgotten(emulation: Emulation) -> None:
    counter = torch.zeros(1)
    made: list[Size] = []

    def make(size: Size) -> Step:
        made.append(size)
        return Count(counter)

    graphs = Graphs(CPU)
    for size in ((1, 64), (2, 64), (1, 64)):
        graphs.run(size, make)
    assert counter == 3 and made == [(1, 64), (2, 64)]
    assert emulation.pools[0] is emulation.pools[1]
    graphs.forget()
    graphs.run((1, 64), make)
    assert made[-1] == (1, 64) and len(made) == 3
    assert emulation.pools[2] is not emulation.pools[0]
    assert emulation.streams == [("stream of", CPU)] * 3


def test_called_steps_are_made_where_the_size_has_changed() -> None:
    counter = torch.zeros(1)
    made: list[Size] = []

    def make(size: Size) -> Step:
        made.append(size)
        return Count(counter)

    calls = Calls()
    for rows in (1, 1, 2, 1):
        calls.run((rows, 8), make)
    assert counter == 4 and made == [(1, 8), (2, 8), (1, 8)]


def test_a_size_is_rounded_up_to_few_others(emulation: Emulation) -> None:
    assert Calls().rounded(5, 9) == (5, 16)
    assert Graphs(CPU).rounded(5, 65) == (8, 128)
    assert Graphs(CPU).rounded(4, 64) == (4, 64)
    assert isinstance(stepping_on(CPU), Calls)
    assert isinstance(stepping_on(torch.device("cuda:1")), Graphs)


@dataclass
class Hesitant:
    """A step that is tried before it is made, as before a capture."""

    step: Step

    def __call__(self) -> None:
        try_out(self.step)
        self.step()

    def state(self) -> list[torch.Tensor]:
        return self.step.state()


class HesitantCalls(Calls):
    def run(self, size: Size, make: Callable[[Size], Step]) -> None:
        super().run(size, lambda size: Hesitant(make(size)))


@pytest.mark.parametrize("beams", [1, 3])
def test_a_step_that_is_only_tried_leaves_no_trace(model: Florence, beams: int) -> None:
    states = random_states(model)[:5]
    plain, hesitant = (answers_to(model, states, beams, way()) for way in (Calls, HesitantCalls))
    assert hesitant == plain


class Crossings(TorchDispatchMode):
    """Notes operations between tensors on different devices."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, run: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = run(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves((args, kwargs, out)) if torch.is_tensor(leaf)]
        if len({tensor.device for tensor in tensors}) > 1:
            self.found.append(run._schema.name)
        return out


@pytest.mark.parametrize("way", [Greedy, BeamSearch])
def test_a_step_takes_nothing_from_the_host(
    model: Florence, way: type[Greedy] | type[BeamSearch]
) -> None:
    """A capture forbids it. The device is one on which tensors have shapes and no content."""
    device = torch.device("meta")
    beams = 1 if way is Greedy else 3
    with torch.inference_mode(mode=False):
        decoder = Decoder(copy.deepcopy(model.network).to(device), attend_by("sdpa"))
    rules = Rules(2, 2, 0, 2, Generation(64, beams, 3, retry_truncated=False))
    search = way(rules, Rows.allocate(2, beams, 66, device))
    view = decoder.view(decoder.allocate(2, beams, 64, 24), 2, beams, 64)
    with torch.no_grad(), Crossings() as crossings:  # what inference mode would show as one call
        NextTokens(decoder, search, search.rows, view)()
    assert crossings.found == []
