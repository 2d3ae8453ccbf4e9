"""What may be written next, whatever the model would like: scores with -inf where it may not."""

from dataclasses import dataclass

import torch
from torch import Tensor

from florence_annotate.model.generation.constraint import Constraint
from florence_annotate.model.generation.rows import Rows


@dataclass(frozen=True, slots=True)
class Rules:
    """What a checkpoint and a job ask of every answer."""

    start: int
    """The decoder's first token; the model does not choose it."""
    end: int
    forced_first: int | None
    """The token after the first one."""
    forced_last: int | None
    """The token at the length limit."""
    beams: int
    no_repeat_ngram: int
    """No so many tokens in a row may come twice; 0 turns it off."""
    constraint: Constraint | None = None
    """The form of the answers; None leaves it to the model."""


def forbid(rules: Rules, scores: Tensor, rows: Rows) -> Tensor:
    """Scores (R · B, V) with -inf where a rule forbids a token."""
    free = scores
    if 0 < rules.no_repeat_ngram <= rows.tokens.shape[2]:
        lengths = rows.lengths.repeat_interleave(rows.tokens.shape[1])
        scores = _forbid_repeats(scores, rows.tokens.flatten(0, 1), lengths, rules.no_repeat_ngram)
    if rules.constraint:
        states = rows.states.flatten()
        held = rules.constraint.forbid(scores, states)
        if free is not scores:
            # the form goes before the ban, where the two together leave nothing
            is_stuck = held.amax(1, keepdim=True) == -torch.inf
            held = torch.where(is_stuck, rules.constraint.forbid(free, states), held)
        scores = held
    return scores


def forced_tokens(rules: Rules, rows: Rows) -> Tensor:
    """The token that each row has to write next (R,); -1 where it may choose."""
    forced = torch.full_like(rows.lengths, -1)
    if rules.forced_first is not None:
        forced = torch.where(rows.lengths == 1, rules.forced_first, forced)
    if rules.forced_last is not None:
        forced = torch.where(rows.lengths == rows.limits - 1, rules.forced_last, forced)
    return forced


def force(scores: Tensor, tokens: Tensor) -> Tensor:
    """Scores (N, V) that leave nothing but the token (N,) where there is one, at a score of 0."""
    is_it = torch.arange(scores.shape[1], device=scores.device) == tokens[:, None]
    only = torch.zeros_like(scores).masked_fill(~is_it, -torch.inf)
    return torch.where(tokens[:, None] < 0, scores, only)


def _forbid_repeats(scores: Tensor, tokens: Tensor, lengths: Tensor, size: int) -> Tensor:
    """Forbid each token that would complete `size` tokens in a row that are there already."""
    windows = tokens.unfold(1, size, 1)  # (N, L - size + 1, size)
    suffix = lengths[:, None] + torch.arange(1 - size, 0, device=tokens.device)
    prefix = tokens.gather(1, suffix.clamp(min=0))
    last = torch.arange(size - 1, tokens.shape[1], device=tokens.device)
    is_whole = (last < lengths[:, None]) & (lengths[:, None] >= size)
    is_repeat = (windows[..., :-1] == prefix[:, None]).all(2) & is_whole
    penalty = torch.zeros_like(is_repeat, dtype=scores.dtype).masked_fill(is_repeat, -torch.inf)
    return scores.scatter_add(1, windows[..., -1], penalty)
