"""The decode loop: a question waits, takes a free row, is answered, and frees the row for the next.

Every row has its own length, so that a long answer does not hold up the others: as soon as enough
rows are free, waiting questions are encoded together and begin. All that a step needs is on the
device; the host looks for finished rows every few steps. On CUDA a step is captured as a graph, one
for each number of rows and width; elsewhere the same code runs without one.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

from florence_annotate.model.decoder import Caches, Decoder
from florence_annotate.model.generation.logit_filters import Rules
from florence_annotate.model.generation.rows import Rows
from florence_annotate.model.generation.search import BeamSearch, Greedy, Search

Ticket = TypeVar("Ticket")
"""What the caller identifies a question by."""

_FIRST_POSITIONS = 64
"""How many positions the caches begin with; doubled when an answer needs more."""
_SOURCE_STEP = 8
"""Source positions are rounded up to a multiple of this, to enlarge the caches seldom."""
_WIDTH_STEP, _CUDA_WIDTH_STEP = 8, 64
"""The width of the attention is rounded up to a multiple of this: few views, or few graphs."""
_CUDA_LOOK = 8
"""Steps between two looks at which rows are done, since each look waits for the device."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """The tokens of one answer, without the start token and a forced first one."""

    tokens: Sequence[int]
    logprobs: Sequence[float]
    truncated: bool


@dataclass(frozen=True, slots=True)
class Encoded:
    """What the decoder starts from, for N questions."""

    states: Tensor
    """(N, S, d_model): the encoder's."""
    mask: Tensor
    """(N, S), bool: false for padding."""
    constraint_states: Sequence[int]
    """The state in which the constraint of each question begins."""


class Decoding(Generic[Ticket]):
    """Answers a stream of questions, `rows` of them at a time."""

    def __init__(
        self,
        decoder: Decoder,
        rules: Rules,
        rows: int,
        max_new_tokens: int,
        encode: Callable[[Sequence[Ticket]], Encoded],
    ) -> None:
        """`encode` gives the encoder states of the questions that some tickets stand for."""
        self._decoder = decoder
        self._rules = rules
        self._encode = encode
        self._limit = 1 + max_new_tokens
        self._beams = rules.generation.num_beams
        state = Rows.allocate(rows, self._beams, self._limit + 1, decoder.device)
        self._search: Search = (
            Greedy(rules, state) if self._beams == 1 else BeamSearch(rules, state)
        )
        self._caches: Caches | None = None
        self._waiting: deque[Ticket] = deque()
        self._tickets: list[Ticket | None] = [None] * rows
        self._steps = [0] * rows
        """The most steps that each row can have made: a bound on its length, known to the host."""
        self._first: tuple[tuple[int, int], Rows] | None = None
        """How many rows and positions the last step looked at, and the views of them."""
        self._graphs: dict[tuple[int, int], torch.cuda.CUDAGraph] = {}

    @property
    def free(self) -> int:
        """How many rows are free beyond those that waiting questions will take."""
        return self._tickets.count(None) - len(self._waiting)

    def ask(self, ticket: Ticket) -> None:
        """Put a question in the queue."""
        self._waiting.append(ticket)

    def answers(self) -> list[tuple[Ticket, Decoded]]:
        """Go on until at least one answer is complete; empty where no question is left."""
        self._seat_waiting()
        while any(ticket is not None for ticket in self._tickets):
            for _ in range(_CUDA_LOOK if self._decoder.device.type == "cuda" else 1):
                self._step()
            if found := self._collect():
                return found
        return []

    def _seat_waiting(self) -> None:
        """Give the free rows to waiting questions, once enough are free to encode together."""
        free = [row for row, ticket in enumerate(self._tickets) if ticket is None]
        count = min(len(free), len(self._waiting))
        if not count or (count < len(self._waiting) and 4 * len(free) < len(self._tickets)):
            return
        tickets = [self._waiting[i] for i in range(count)]
        encoded = self._encode(tickets)
        caches = self._room_for(encoded.states.shape[1], _FIRST_POSITIONS)
        for row, ticket in zip(free, tickets, strict=False):
            self._tickets[row], self._steps[row] = ticket, 0
            self._waiting.popleft()
        rows = torch.tensor(free[:count], device=self._decoder.device)
        self._decoder.place_source(caches, rows, encoded.states, encoded.mask)
        constraint_states = torch.tensor(encoded.constraint_states, device=self._decoder.device)
        self._search.start(rows, torch.full_like(rows, self._limit), constraint_states)

    def _room_for(self, source: int, positions: int) -> Caches:
        """The caches, moved to larger ones where they are too small."""
        held = self._caches
        beams = self._beams
        if held is not None:
            has_source, has_positions = held.source_mask.shape[3], held.past[0].shape[3] // beams
            if source <= has_source and positions <= has_positions:
                return held
            source = max(source, has_source)
            positions = max(positions, has_positions)
        positions = min(positions, self._limit)
        source = -(-source // _SOURCE_STEP) * _SOURCE_STEP
        self._caches = self._decoder.allocate(len(self._tickets), beams, positions, source)
        self._graphs.clear()  # they point at the old ones
        if held is not None:
            self._caches.take_over(held)
        return self._caches

    def _step(self) -> None:
        """One token further in every row up to the last one that is taken."""
        count = max(row for row, ticket in enumerate(self._tickets) if ticket is not None) + 1
        for row in range(count):
            if self._tickets[row] is not None:
                self._steps[row] = min(self._steps[row] + 1, self._limit - 1)
        longest = max(self._steps[:count])
        caches = self._caches
        assert caches is not None
        held = caches.past[0].shape[3] // self._beams
        if longest > held:
            caches = self._room_for(0, 2 * held)
        is_cuda = self._decoder.device.type == "cuda"
        step = _CUDA_WIDTH_STEP if is_cuda else _WIDTH_STEP
        width = min(-(-longest // step) * step, caches.past[0].shape[3] // self._beams)
        if not is_cuda:
            self._advance(caches, count, width)
            return
        count = min(len(self._tickets), 1 << (count - 1).bit_length())
        self._graph(caches, count, width).replay()

    def _advance(self, caches: Caches, count: int, width: int) -> None:
        """A step of the first `count` rows, which have `width` tokens at most."""
        if self._first is None or self._first[0] != (count, width):
            # one more for the next token, and one to spare
            self._first = (count, width), self._search.rows.first(count, width + 2)
        rows = self._first[1]
        # a row that is done and full may be longer than the caches, until the next look
        positions = (rows.lengths - 1).clamp(max=width - 1)
        logits = self._decoder.step(rows.last_tokens(), positions, caches, rows.ancestry, width)
        self._search.choose(rows, logits)

    def _graph(self, caches: Caches, count: int, width: int) -> torch.cuda.CUDAGraph:
        """The captured step; capturing it does not change any row."""
        graph = self._graphs.get((count, width))
        if graph is None:
            graph = self._graphs[count, width] = torch.cuda.CUDAGraph()
            self._try_step(caches, count, width)
            torch.cuda.synchronize()
            with torch.cuda.graph(graph):
                self._advance(caches, count, width)
        return graph

    def _try_step(self, caches: Caches, count: int, width: int) -> None:
        """Make a step and take it back, so that libraries allocate now what a capture forbids.

        The caches need no restoring: the step itself will write the same to them.
        """
        state = self._search.state()
        held = [tensor.clone() for tensor in state]
        self._advance(caches, count, width)
        for tensor, before in zip(state, held, strict=True):
            tensor.copy_(before)

    def _collect(self) -> list[tuple[Ticket, Decoded]]:
        """The answers of the rows that are done; the rows are free from now on."""
        found, rows = [], self._search.rows
        for row, is_done in enumerate(rows.done.tolist()):
            ticket = self._tickets[row]
            if is_done and ticket is not None:
                found.append((ticket, self._as_decoded(*self._search.result(row))))
                self._tickets[row], self._steps[row] = None, 1
                rows.lengths[row] = 1  # within any width that the others need
        return found

    def _as_decoded(self, tokens: list[int], logprobs: list[float]) -> Decoded:
        # where the end token at the limit is forced, the answer may have had more to say
        is_end_forced = self._rules.forced_last is not None
        has_ended = tokens[-1] == self._rules.end
        truncated = len(tokens) >= self._limit and (is_end_forced or not has_ended)
        end = len(tokens) - (truncated and has_ended)
        first = 1 if self._rules.forced_first is None else 2
        return Decoded(tokens[first:end], logprobs[first:end], truncated)
