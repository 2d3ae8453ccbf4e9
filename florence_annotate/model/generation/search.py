"""Chooses the next token of every row: greedy and beam search, as tensor operations.

Both choose the tokens that transformers' `generate` chooses (`_sample` without sampling, and
`_beam_search` with a length penalty of 1); a test holds them to it.
Unlike there, every row has its own length, since questions begin and end at different times.

Shapes: R rows, B beams, V tokens of the vocabulary, L positions of a sequence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from florence_annotate.model.generation.largest import largest
from florence_annotate.model.generation.logit_filters import Rules, forbid, force, forced_tokens
from florence_annotate.model.generation.rows import Rows
from florence_annotate.model.generation.spreads import Spreads

_NEVER = -1.0e9
"""A score that is never chosen; the number that `generate` uses."""


@dataclass(frozen=True, slots=True)
class Written:
    """What was written in a row, the start token first."""

    tokens: list[int]
    logprobs: list[float]
    spreads: bytes
    """13 for each token; empty where they are not kept."""


class Search(Protocol):
    """A way of choosing tokens."""

    rows: Rows

    def start(self, rows: Tensor, limits: Tensor, states: Tensor) -> None:
        """Begin new sequences in the rows with these indices, of at most `limits` tokens each.

        All three are (N,); `states` are those in which the constraint begins.
        """

    def choose(self, rows: Rows, logits: Tensor) -> None:
        """Append a token to each row that is not done, of the first R rows.

        `rows` are views of them, with a position to spare; `logits` (R, B, V) are the model's.
        """

    def results(self, rows: Sequence[int]) -> list[Written]:
        """The best sequence of each of some rows that are done."""

    def state(self) -> list[Tensor]:
        """The tensors that a step changes."""


class Greedy:
    """The most probable token, step by step."""

    def __init__(self, rules: Rules, rows: Rows) -> None:
        self.rows = rows
        self._rules = rules
        self._spreads = _spreads(rules, rows)

    def start(self, rows: Tensor, limits: Tensor, states: Tensor) -> None:
        self.rows.start(rows, limits, states, self._rules.start)

    def choose(self, rows: Rows, logits: Tensor) -> None:
        scores = logits[:, 0].float()
        forced = forced_tokens(self._rules, rows)
        chosen = forbid(self._rules, scores, rows).argmax(1)
        tokens = torch.where(forced < 0, chosen, forced)[:, None]
        logs = torch.log_softmax(scores, dim=1)
        if self._spreads:
            rows.write_spreads(self._spreads.of(logs[:, None], tokens))
        rows.append(tokens, logs.gather(1, tokens))
        if self._rules.constraint:
            rows.states.copy_(self._rules.constraint.advance(rows.states, tokens))
        rows.lengths += ~rows.done
        rows.done |= (tokens[:, 0] == self._rules.end) | (rows.lengths >= rows.limits)

    def results(self, rows: Sequence[int]) -> list[Written]:
        held = self.rows
        index = torch.tensor(rows, device=held.tokens.device)
        ends = held.lengths[index].tolist()
        longest = max(ends)
        spreads = held.spreads[index, 0, :longest] if self._spreads else None
        tokens, logprobs = held.tokens[index, 0, :longest], held.logprobs[index, 0, :longest]
        return _fetch(ends, tokens, logprobs, spreads)

    def state(self) -> list[Tensor]:
        return self.rows.state()


class BeamSearch:
    """The best of several sequences, by the mean log-probability of their tokens."""

    def __init__(self, rules: Rules, rows: Rows) -> None:
        self.rows = rows
        self._rules = rules
        self._spreads = _spreads(rules, rows)
        shape, device = rows.tokens.shape[:2], rows.tokens.device
        self._scores = torch.zeros(shape, device=device)
        """(R, B): sums of the log-probabilities of the running sequences, best first."""
        self._ended_tokens = torch.zeros_like(rows.tokens)
        self._ended_logprobs = torch.zeros_like(rows.logprobs)
        self._ended_ancestry = torch.zeros_like(rows.ancestry, dtype=torch.uint8)
        """(R, B, L): as `Rows.ancestry`, but for the last token, which no beam wrote."""
        self._ended_spreads = torch.zeros_like(rows.spreads[:, :, 0])
        """(R, B, 13): the spread of the last token."""
        self._ended_lengths = torch.ones(shape, dtype=torch.long, device=device)
        self._ended_scores = torch.full(shape, _NEVER, device=device)
        """(R, B): means of the log-probabilities of the sequences that ended, best first."""
        self._is_ended = torch.zeros(shape, dtype=torch.bool, device=device)

    def start(self, rows: Tensor, limits: Tensor, states: Tensor) -> None:
        self.rows.start(rows, limits, states, self._rules.start)
        # the beams are equal at first, so that only the first one may propose tokens
        self._scores[rows] = _NEVER
        self._scores[rows, 0] = 0.0
        self._ended_scores[rows] = _NEVER
        self._is_ended[rows] = False

    def choose(self, rows: Rows, logits: Tensor) -> None:
        count, beams, vocabulary = logits.shape
        logs = torch.log_softmax(logits.float(), dim=2)
        ruled = forbid(self._rules, logs.flatten(0, 1), rows)
        # twice as many as beams: a beam has one way to end, so that enough are left to go on.
        # Those of each beam come first, so that what follows sees a few tokens, not the vocabulary
        each = min(2 * beams, vocabulary)
        best, tokens = (found.view(count, beams, each) for found in largest(ruled, each))
        best, tokens = force(best, tokens, forced_tokens(self._rules, rows))
        best, chosen = (best + self._scores[:count, :, None]).flatten(1).topk(2 * beams)
        parents, tokens = chosen // each, tokens.flatten(1).gather(1, chosen)
        position = rows.next_position()
        past = _take(rows.tokens, parents).scatter(
            2, position.expand(-1, 2 * beams, 1), tokens[..., None]
        )
        past_logs = _take(rows.logprobs, parents).scatter(
            2,
            position.expand(-1, 2 * beams, 1),
            logs.flatten(1).gather(1, parents * vocabulary + tokens)[..., None],
        )
        ends = (tokens == self._rules.end) | (rows.lengths[:, None] + 1 >= rows.limits[:, None])
        candidates = [(self._ended_tokens, past), (self._ended_logprobs, past_logs)]
        self._scores[:count], going = (best + ends * _NEVER).topk(beams)
        if self._spreads:
            spreads = self._spreads.of(logs, tokens, parents)
            rows.write_spreads(_take(spreads, going))
            heirs = _take(rows.ancestry, parents).to(torch.uint8)
            candidates += [(self._ended_ancestry, heirs), (self._ended_spreads, spreads)]
        self._keep_ended(rows, candidates, best, ends)
        rows.replace(_take(past, going), _take(past_logs, going))
        written_by = torch.arange(beams, device=logits.device)[:, None].expand(count, -1, 1)
        parents, tokens = parents.gather(1, going), tokens.gather(1, going)
        if self._rules.constraint:
            states = rows.states.gather(1, parents)
            rows.states.copy_(self._rules.constraint.advance(states, tokens))
        heirs = _take(rows.ancestry, parents)
        rows.ancestry.copy_(heirs.scatter(2, position.expand(-1, beams, 1), written_by))
        rows.lengths += ~rows.done
        # a running sequence can only get worse: the best one is compared as if it ended here
        possible = self._scores[:count, :1] / (rows.lengths[:, None] - 1)
        worst = self._ended_scores[:count].amin(1, keepdim=True)
        is_hopeless = (self._is_ended[:count] & (possible <= worst)).all(1)
        is_full = self._is_ended[:count].all(1) & self._rules.early_stopping
        rows.done |= is_hopeless | ends.all(1) | is_full

    def _keep_ended(
        self, rows: Rows, candidates: list[tuple[Tensor, Tensor]], best: Tensor, ends: Tensor
    ) -> None:
        """Keep the best B of the sequences that ended before and of those that end now.

        Only the B most probable candidates may end; the others are there to go on. `candidates`
        are what is held of those that ended before (of all rows), with the same of the 2 B.
        """
        count, beams = rows.tokens.shape[:2]
        rank = torch.arange(2 * beams, device=best.device)
        is_new = ends & (rank < beams)
        scores = best / rows.lengths[:, None] + ~is_new * _NEVER
        scores = scores + rows.done[:, None] * _NEVER
        merged = torch.cat([self._ended_scores[:count], scores], dim=1)
        self._ended_scores[:count], kept = merged.topk(beams)
        lengths = (rows.lengths[:, None] + 1).expand(-1, 2 * beams)
        for all_held, new in (
            *candidates,
            (self._ended_lengths, lengths),
            (self._is_ended, is_new),
        ):
            held = all_held[:count]
            if held.dim() == 3:
                held = held[:, :, : new.shape[2]]
            held.copy_(_take(torch.cat([held, new], dim=1), kept))

    def results(self, rows: Sequence[int]) -> list[Written]:
        index = torch.tensor(rows, device=self._ended_tokens.device)
        lengths = self._ended_lengths[index, 0]
        ends = lengths.tolist()
        longest = max(ends)
        spreads = self._ended_spreads_of(index, lengths, longest) if self._spreads else None
        tokens = self._ended_tokens[index, 0, :longest]
        return _fetch(ends, tokens, self._ended_logprobs[index, 0, :longest], spreads)

    def _ended_spreads_of(self, index: Tensor, lengths: Tensor, longest: int) -> Tensor:
        """The spreads (N, longest, 13) of the best sequences of the rows `index` (N,)."""
        places = torch.arange(longest, device=index.device)
        by = self._ended_ancestry[index, 0, :longest].long()
        spreads = self.rows.spreads[index[:, None], by, places]
        last = (lengths - 1)[:, None, None].expand(-1, 1, spreads.shape[2])
        spreads.scatter_(1, last, self._ended_spreads[index, :1])
        return spreads

    def state(self) -> list[Tensor]:
        return [
            *self.rows.state(),
            self._scores,
            self._ended_tokens,
            self._ended_logprobs,
            self._ended_ancestry,
            self._ended_spreads,
            self._ended_lengths,
            self._ended_scores,
            self._is_ended,
        ]


def _spreads(rules: Rules, rows: Rows) -> Spreads | None:
    if rules.first_location is None:
        return None
    return Spreads(rules.first_location, rows.tokens.device)


def _fetch(
    ends: Sequence[int], tokens: Tensor, logprobs: Tensor, spreads: Tensor | None
) -> list[Written]:
    """Sequences of tokens and log-probabilities (N, L) and spreads (N, L, 13), each to its end.

    All at once, since each transfer waits for the device.
    """
    pairs = zip(ends, tokens.tolist(), logprobs.tolist(), strict=True)
    held = None if spreads is None else spreads.cpu().numpy()
    return [
        Written(ids[:end], logs[:end], b"" if held is None else held[row, :end].tobytes())
        for row, (end, ids, logs) in enumerate(pairs)
    ]


def _take(values: Tensor, indices: Tensor) -> Tensor:
    """Of values (R, B) or (R, B, L) those of the beams with the indices (R, N)."""
    if values.dim() == 3:
        indices = indices[..., None].expand(-1, -1, values.shape[2])
    return values.gather(1, indices)
