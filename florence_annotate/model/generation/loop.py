"""The decode loop: a question waits, takes a free row, is answered, and frees the row for the next.

Every row has its own length, so that a long answer does not hold up the others: as soon as enough
rows are free, waiting questions are encoded together and begin. All that a step needs is on the
device; the host looks for finished rows every few steps.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

from florence_annotate.model.decoder import Caches, Decoder, View
from florence_annotate.model.generation.logit_filters import Rules
from florence_annotate.model.generation.rows import Rows
from florence_annotate.model.generation.search import BeamSearch, Greedy, Search, Written
from florence_annotate.model.generation.stepping import Size, Stepping, stepping_on
from florence_annotate.types import SPREAD_RANGES

Ticket = TypeVar("Ticket")
"""What the caller identifies a question by."""

_FIRST_POSITIONS = 64
"""How many positions the caches begin with; doubled when an answer needs more."""
_SOURCE_STEP = 8
"""Source positions are rounded up to a multiple of this, to enlarge the caches seldom."""

_TOKEN_BYTES = 2 * (8 + 4) + 8 + 1 + len(SPREAD_RANGES)
"""What `Rows` and `BeamSearch` keep of each token: that and its log-probability twice, its ancestry
twice, and its spread."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """The tokens of one answer, without the start token and a forced first one."""

    tokens: Sequence[int]
    logprobs: Sequence[float]
    spreads: bytes
    """13 for each token; empty where they are not kept. See `generation.spreads`."""
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


def most_bytes_held(decoder: Decoder, beams: int, max_new_tokens: int, source: int) -> int:
    """Bytes that a row of `Decoding` keeps from step to step when its answer is the longest.

    `source` is the number of the question's encoder states.
    """
    limit = 1 + max_new_tokens
    source = -(-source // _SOURCE_STEP) * _SOURCE_STEP
    return decoder.row_bytes(beams, limit, source) + beams * (limit + 1) * _TOKEN_BYTES


@dataclass(frozen=True, slots=True)
class NextTokens:
    """One token further in the first rows; holds the tensors that this reads and writes."""

    decoder: Decoder
    search: Search
    rows: Rows
    view: View

    def __call__(self) -> None:
        rows, view = self.rows, self.view
        # a row that is done and full may be longer than the caches, until the next look
        positions = (rows.lengths - 1).clamp(max=len(view.positions) - 1)
        logits = self.decoder.step(rows.last_tokens(), positions, view, rows.ancestry)
        self.search.choose(rows, logits)

    def state(self) -> list[Tensor]:
        # not the caches: a step that is repeated writes the same to them
        return self.search.state()


class Decoding(Generic[Ticket]):
    """Answers a stream of questions, `rows` of them at a time."""

    def __init__(
        self,
        decoder: Decoder,
        rules: Rules,
        rows: int,
        max_new_tokens: int,
        encode: Callable[[Sequence[Ticket]], Encoded],
        stepping: Stepping | None = None,
    ) -> None:
        """`encode` gives the encoder states of the questions that some tickets stand for.

        `stepping` is the way that suits the device, unless another is given.
        """
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
        self._stepping = stepping or stepping_on(decoder.device)

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
            for _ in range(self._stepping.look_every):
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
        """The caches, enlarged where they are too small."""
        source = -(-source // _SOURCE_STEP) * _SOURCE_STEP
        positions = min(positions, self._limit)
        held = self._caches
        if held is None:
            held = self._decoder.allocate(len(self._tickets), self._beams, positions, source)
            self._caches = held
        elif source > held.source_mask.shape[3] or positions * self._beams > held.slots:
            self._stepping.forget()  # steps hold the tensors that are replaced
            held.enlarge(positions * self._beams, source)
        return held

    def _step(self) -> None:
        """One token further in every row up to the last one that is taken."""
        count = max(row for row, ticket in enumerate(self._tickets) if ticket is not None) + 1
        for row in range(count):
            if self._tickets[row] is not None:
                self._steps[row] = min(self._steps[row] + 1, self._limit - 1)
        longest = max(self._steps[:count])
        assert self._caches is not None
        held = self._caches.slots // self._beams
        if longest > held:
            held = self._room_for(0, 2 * held).slots // self._beams
        count, width = self._stepping.rounded(count, longest)
        self._stepping.run((min(count, len(self._tickets)), min(width, held)), self._make_step)

    def _make_step(self, size: Size) -> NextTokens:
        assert self._caches is not None
        count, width = size
        # one more for the next token, and one to spare
        rows = self._search.rows.first(count, width + 2)
        view = self._decoder.view(self._caches, count, self._beams, width)
        return NextTokens(self._decoder, self._search, rows, view)

    def _collect(self) -> list[tuple[Ticket, Decoded]]:
        """The answers of the rows that are done; the rows are free from now on."""
        found, rows = [], self._search.rows
        for row, is_done in enumerate(rows.done.tolist()):
            ticket = self._tickets[row]
            if is_done and ticket is not None:
                found.append((ticket, self._as_decoded(self._search.result(row))))
                self._tickets[row], self._steps[row] = None, 1
                rows.lengths[row] = 1  # within any width that the others need
        return found

    def _as_decoded(self, written: Written) -> Decoded:
        tokens = written.tokens
        # where the end token at the limit is forced, the answer may have had more to say
        is_end_forced = self._rules.forced_last is not None
        has_ended = tokens[-1] == self._rules.end
        truncated = len(tokens) >= self._limit and (is_end_forced or not has_ended)
        end = len(tokens) - (truncated and has_ended)
        first = 1 if self._rules.forced_first is None else 2
        spreads = written.spreads[first * len(SPREAD_RANGES) : end * len(SPREAD_RANGES)]
        return Decoded(tokens[first:end], written.logprobs[first:end], spreads, truncated)
