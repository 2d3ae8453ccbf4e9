"""Answers held to their form: which tokens may come next, as a mask a step.

The grammars of the questions' tasks become one table of states and letters, on the device. A
letter is a class of tokens that all lead to the same states: text, locations, the end, … With a
list of labels, text is spelled by a trie: every token of a label is a letter of its own, and the
place in the trie is part of the state.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from florence_annotate.model.generation.grammar import START, Grammar, compile_form
from florence_annotate.model.vocabulary import Vocabulary

_TEXT = "t"
_END = "end"
_OTHER = "other"
Letter = str | int
"""A kind of token, or the id of a token that labels are spelled with."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """The compiled table. State 0 is the end, and stays there; so does a state that is forced."""

    letter_of: Tensor
    """(V,): the letter of each token, by number."""
    following: Tensor
    """(states, letters): the state after a letter; -1 where it may not come."""
    starts: dict[tuple[str, bool], int]
    """The first state of a form, and whether its text is spelled by the labels."""

    def forbid(self, scores: Tensor, states: Tensor) -> Tensor:
        """Scores (N, V) with -inf where a token may not come in the states (N,)."""
        allowed = self.following[states] >= 0
        return scores.masked_fill(~allowed[:, self.letter_of], -torch.inf)

    def advance(self, states: Tensor, tokens: Tensor) -> Tensor:
        """The states after tokens, both (N,); a token that was forced leaves the state alone."""
        after = self.following[states, self.letter_of[tokens]]
        return torch.where(after >= 0, after, states)


def compile_constraint(
    vocabulary: Vocabulary,
    size: int,
    forms: Iterable[tuple[str, bool]],
    labels: Sequence[str],
    device: torch.device,
) -> Constraint:
    """The table for forms of answers (see `florence_annotate.tasks.FORMS`).

    Args:
        vocabulary: Of the checkpoint.
        size: V, the width of the scores.
        forms: Each with whether its text must be one of the labels.
        labels: Spelled as they are.
        device: Where the table goes.
    """
    spelled = [tuple(vocabulary.text_ids(label)) for label in labels]
    letters: dict[Letter, int] = {}
    used: list[Letter] = [_OTHER, _TEXT, "l", "s", "p", "q", _END]
    for letter in used + [token for ids in spelled for token in ids]:
        letters.setdefault(letter, len(letters))
    letter_of = [letters[_kind(vocabulary, token)] for token in range(size)]
    own_letters = {token for ids in spelled for token in ids}
    for token in own_letters:
        letter_of[token] = letters[token]
    table = _Table(len(letters))
    starts = {}
    for form, is_spelled in sorted(set(forms)):
        grammar = compile_form(form)
        steps = _spelled(grammar, spelled) if is_spelled else _free(grammar, own_letters)
        starts[form, is_spelled] = table.add(steps, letters)
    return Constraint(
        torch.tensor(letter_of, device=device),
        torch.tensor(table.rows, device=device),
        starts,
    )


def _kind(vocabulary: Vocabulary, token: int) -> str:
    if token == vocabulary.eos_id:
        return _END
    return vocabulary.form_letter(token) or _OTHER


State = tuple[int, tuple[int, ...]]
"""A state of the grammar, and what of a label has been spelled there."""
Steps = dict[State, dict[Letter, State | None]]
"""From a state, where each letter leads; None is the end."""

_FIRST: State = (START, ())


def _free(grammar: Grammar, own_letters: Iterable[int]) -> Steps:
    """The grammar itself; tokens that spell labels are text like any other."""
    steps: Steps = {}
    for state, following in grammar.following.items():
        after: dict[Letter, State | None] = {k: (s, ()) for k, s in following.items()}
        if _TEXT in following:
            after |= dict.fromkeys(own_letters, (following[_TEXT], ()))
        if state in grammar.final:
            after[_END] = None
        steps[state, ()] = after
    return steps


def _spelled(grammar: Grammar, labels: Sequence[tuple[int, ...]]) -> Steps:
    """The grammar with its text spelled by labels, one a run of text."""
    steps: Steps = {}
    prefixes = {label[:end] for label in labels for end in range(1, len(label) + 1)}
    for state, following in grammar.following.items():
        is_text = state != START and grammar.letters[state] == _TEXT
        for spelled in prefixes if is_text else {()}:
            after: dict[Letter, State | None] = {}
            if not is_text or spelled in labels:  # what follows text needs a whole label
                after |= {k: (s, ()) for k, s in following.items() if k != _TEXT}
                if state in grammar.final:
                    after[_END] = None
            if _TEXT in following:
                after |= {
                    prefix[-1]: (following[_TEXT], prefix)
                    for prefix in prefixes
                    if prefix[:-1] == spelled
                }
            steps[state, spelled] = after
    return steps


class _Table:
    """The rows of the table, of all forms, one after the other."""

    def __init__(self, width: int) -> None:
        self._width = width
        self.rows: list[list[int]] = [[-1] * width]

    def add(self, steps: Steps, letters: dict[Letter, int]) -> int:
        """Append the states of a form; returns the number of the first one."""
        numbers = {state: len(self.rows) + place for place, state in enumerate(steps)}
        for after in steps.values():
            row = [-1] * self._width
            for letter, state in after.items():
                row[letters[letter]] = 0 if state is None else numbers[state]
            self.rows.append(row)
        self.rows[0][letters[_END]] = 0
        return numbers[_FIRST]
