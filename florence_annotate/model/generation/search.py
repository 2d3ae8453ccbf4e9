"""Chooses the next token of every row: greedy and beam search, as tensor operations.

Both choose the tokens that transformers' `generate` chooses (`_sample` without sampling, and
`_beam_search` with a length penalty of 1); a test holds them to it.
Unlike there, every row has its own length, since questions begin and end at different times.

Shapes: R rows, B beams, V tokens of the vocabulary, L positions of a sequence.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from florence_annotate.model.generation.logit_filters import Rules, forbid, force, forced_tokens
from florence_annotate.model.generation.rows import Rows

_NEVER = -1.0e9
"""A score that is never chosen; the number that `generate` uses."""


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

    def results(self, rows: Sequence[int]) -> list[tuple[list[int], list[float]]]:
        """The best sequence of each of some rows that are done, and its log-probabilities."""

    def state(self) -> list[Tensor]:
        """The tensors that a step changes."""


class Greedy:
    """The most probable token, step by step."""

    def __init__(self, rules: Rules, rows: Rows) -> None:
        self.rows = rows
        self._rules = rules

    def start(self, rows: Tensor, limits: Tensor, states: Tensor) -> None:
        self.rows.start(rows, limits, states, self._rules.start)

    def choose(self, rows: Rows, logits: Tensor) -> None:
        scores = logits[:, 0].float()
        forced = forced_tokens(self._rules, rows)
        chosen = forbid(self._rules, scores, rows).argmax(1)
        tokens = torch.where(forced < 0, chosen, forced)[:, None]
        rows.append(tokens, torch.log_softmax(scores, dim=1).gather(1, tokens))
        if self._rules.constraint:
            rows.states.copy_(self._rules.constraint.advance(rows.states, tokens))
        rows.lengths += ~rows.done
        rows.done |= (tokens[:, 0] == self._rules.end) | (rows.lengths >= rows.limits)

    def results(self, rows: Sequence[int]) -> list[tuple[list[int], list[float]]]:
        held = self.rows
        return _fetch(rows, held.tokens[:, 0], held.logprobs[:, 0], held.lengths)

    def state(self) -> list[Tensor]:
        return self.rows.state()


class BeamSearch:
    """The best of several sequences, by the mean log-probability of their tokens."""

    def __init__(self, rules: Rules, rows: Rows) -> None:
        self.rows = rows
        self._rules = rules
        shape, device = rows.tokens.shape[:2], rows.tokens.device
        self._scores = torch.zeros(shape, device=device)
        """(R, B): sums of the log-probabilities of the running sequences, best first."""
        self._ended_tokens = torch.zeros_like(rows.tokens)
        self._ended_logprobs = torch.zeros_like(rows.logprobs)
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
        self._keep_ended(rows, past, past_logs, best, ends)
        self._scores[:count], going = (best + ends * _NEVER).topk(beams)
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
        self, rows: Rows, past: Tensor, past_logs: Tensor, best: Tensor, ends: Tensor
    ) -> None:
        """Keep the best B of the sequences that ended before and of those that end now.

        Only the B most probable candidates may end; the others are there to go on.
        """
        count, beams = rows.tokens.shape[:2]
        width = rows.tokens.shape[2]
        rank = torch.arange(2 * beams, device=past.device)
        is_new = ends & (rank < beams)
        scores = best / rows.lengths[:, None] + ~is_new * _NEVER
        scores = scores + rows.done[:, None] * _NEVER
        merged = torch.cat([self._ended_scores[:count], scores], dim=1)
        self._ended_scores[:count], kept = merged.topk(beams)
        lengths = (rows.lengths[:, None] + 1).expand(-1, 2 * beams)
        for held, new in (
            (self._ended_tokens[:count, :, :width], past),
            (self._ended_logprobs[:count, :, :width], past_logs),
            (self._ended_lengths[:count], lengths),
            (self._is_ended[:count], is_new),
        ):
            held.copy_(_take(torch.cat([held, new], dim=1), kept))

    def results(self, rows: Sequence[int]) -> list[tuple[list[int], list[float]]]:
        tokens, logprobs = self._ended_tokens[:, 0], self._ended_logprobs[:, 0]
        return _fetch(rows, tokens, logprobs, self._ended_lengths[:, 0])

    def state(self) -> list[Tensor]:
        return [
            *self.rows.state(),
            self._scores,
            self._ended_tokens,
            self._ended_logprobs,
            self._ended_lengths,
            self._ended_scores,
            self._is_ended,
        ]


_CHUNK = 128
"""Values of which `largest` looks at the highest first."""
_FEW = 16 * _CHUNK
"""Values of which it looks at all at once."""


def largest(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The largest values of each row of (N, V) and their indices, (N, count), largest first.

    On CUDA `topk` reads long rows five times. Here they are read once, for the highest value of
    each chunk: the largest values lie in the chunks whose highest are the largest.
    """
    whole = values.shape[1] // _CHUNK * _CHUNK
    if not values.is_cuda or whole < max(_FEW, count * _CHUNK):
        found, at = values.topk(count)
        return found, at
    return largest_by_chunks(values, count)


def largest_by_chunks(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """See `largest`; there must be as many whole chunks as values are to be found."""
    whole = values.shape[1] // _CHUNK * _CHUNK
    chunks = values[:, :whole].view(len(values), -1, _CHUNK)
    chosen = chunks.amax(2).topk(count).indices
    held = chunks.gather(1, chosen[..., None].expand(-1, -1, _CHUNK))
    found, at = torch.cat([held.flatten(1), values[:, whole:]], dim=1).topk(count)
    behind = at - count * _CHUNK  # not negative for what was in no whole chunk
    chunk = chosen.gather(1, (at // _CHUNK).clamp(max=count - 1))
    return found, torch.where(behind < 0, chunk * _CHUNK + at % _CHUNK, whole + behind)


def _fetch(
    rows: Sequence[int], tokens: Tensor, logprobs: Tensor, lengths: Tensor
) -> list[tuple[list[int], list[float]]]:
    """Tokens and log-probabilities (R, L) of some rows, each to its length.

    All at once, since each transfer waits for the device.
    """
    index = torch.tensor(rows, device=tokens.device)
    ends = lengths[index].tolist()
    longest = max(ends)
    return [
        (ids[:end], logs[:end])
        for ids, logs, end in zip(
            tokens[index, :longest].tolist(), logprobs[index, :longest].tolist(), ends, strict=True
        )
    ]


def _take(values: Tensor, indices: Tensor) -> Tensor:
    """Of values (R, B) or (R, B, L) those of the beams with the indices (R, N)."""
    if values.dim() == 3:
        indices = indices[..., None].expand(-1, -1, values.shape[2])
    return values.gather(1, indices)
