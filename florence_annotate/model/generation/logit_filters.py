"""Rules for the next token: forbidden ones get a score of -inf, forced ones leave no choice.

Shapes: R rows, B beams, N sequences, V tokens of the vocabulary, L tokens of a sequence.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from florence_annotate.model.generation.constraint import Constraint
from florence_annotate.model.generation.rows import Rows
from florence_annotate.types import Generation


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of a checkpoint and a job for every answer; tokens are ids."""

    start: int
    """The decoder's first token; the model does not choose it."""
    end: int
    """The token that ends an answer."""
    forced_first: int | None
    """The token that must follow the start token; None where there is none."""
    forced_last: int | None
    """The token that must stand at the length limit; None where there is none."""
    generation: Generation
    first_location: int | None = None
    """The token `<loc_0>`; None where it is not kept how sure locations are."""
    constraint: Constraint | None = None
    """Holds answers to their form; None: the model alone decides."""
    early_stopping: bool = False
    """A beam search ends once it has as many ended sequences as beams."""


def forbid(rules: Rules, scores: Tensor, rows: Rows) -> Tensor:
    """Scores (R · B, V), with -inf for the tokens that a rule forbids."""
    free = scores
    ngram = rules.generation.no_repeat_ngram
    if 0 < ngram <= rows.tokens.shape[2]:
        lengths = rows.lengths.repeat_interleave(rows.tokens.shape[1])
        scores = _forbid_repeats(scores, rows.tokens.flatten(0, 1), lengths, ngram)
    if rules.constraint:
        states = rows.states.flatten()
        held = rules.constraint.forbid(scores, states)
        if free is not scores:
            # where no token is left, the form counts and the ban on repeats does not
            is_stuck = held.amax(1, keepdim=True) == -torch.inf
            held = torch.where(is_stuck, rules.constraint.forbid(free, states), held)
        scores = held
    return scores


def forced_tokens(rules: Rules, rows: Rows) -> Tensor:
    """The token (R,) that each row must write next; -1 where none is forced."""
    forced = torch.full_like(rows.lengths, -1)
    if rules.forced_first is not None:
        forced = torch.where(rows.lengths == 1, rules.forced_first, forced)
    if rules.forced_last is not None:
        forced = torch.where(rows.lengths == rows.limits - 1, rules.forced_last, forced)
    return forced


def force(scores: Tensor, tokens: Tensor, forced: Tensor) -> tuple[Tensor, Tensor]:
    """Candidates (R, B, N), scores and tokens, of which a forced token (R,) leaves the first alone.

    That becomes the forced token, with a score of 0; all others get -inf. -1 forces none.
    """
    forced = forced[:, None, None]
    is_first = torch.arange(scores.shape[2], device=scores.device) == 0
    only = torch.zeros_like(scores).masked_fill(~is_first, -torch.inf)
    return (
        torch.where(forced < 0, scores, only),
        torch.where((forced >= 0) & is_first, forced, tokens),
    )


def _forbid_repeats(scores: Tensor, tokens: Tensor, lengths: Tensor, size: int) -> Tensor:
    """Scores (N, V), with -inf for tokens that would repeat the same `size` tokens in a row."""
    windows = tokens.unfold(1, size, 1)  # (N, L - size + 1, size)
    suffix = lengths[:, None] + torch.arange(1 - size, 0, device=tokens.device)
    prefix = tokens.gather(1, suffix.clamp(min=0))
    last = torch.arange(size - 1, tokens.shape[1], device=tokens.device)
    is_whole = (last < lengths[:, None]) & (lengths[:, None] >= size)
    is_repeat = (windows[..., :-1] == prefix[:, None]).all(2) & is_whole
    penalty = torch.zeros_like(is_repeat, dtype=scores.dtype).masked_fill(is_repeat, -torch.inf)
    return scores.scatter_add(1, windows[..., -1], penalty)
