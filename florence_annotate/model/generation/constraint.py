"""Holds answers to their form: in every step, a mask says which tokens may come next.

The grammars of the tasks become one table of states and letters, on the device. A letter is a class
of tokens that all lead to the same states: text, locations, the end, … With a list of labels, text
is spelled by a trie: every token of a label is a letter of its own, and what has been spelled so
far is part of the state.

Shapes: N sequences, V tokens of the vocabulary.
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
    """The compiled table. State 0 is the end, after which nothing but the end may come."""

    letter_of: Tensor
    """(V,): the number of each token's letter."""
    following: Tensor
    """(states, letters): the state that a letter leads to; -1 where the letter may not come."""
    starts: dict[tuple[str, bool], int]
    """(form, whether its text is spelled by the labels) → the state in which answers begin."""

    def forbid(self, scores: Tensor, states: Tensor) -> Tensor:
        """Scores (N, V), with -inf for the tokens that may not come in the states (N,)."""
        allowed = self.following[states] >= 0
        return scores.masked_fill(~allowed[:, self.letter_of], -torch.inf)

    def advance(self, states: Tensor, tokens: Tensor) -> Tensor:
        """The states after the tokens, all (N,); a forced token leaves the state as it is."""
        after = self.following[states, self.letter_of[tokens]]
        return torch.where(after >= 0, after, states)


def compile_constraint(
    vocabulary: Vocabulary,
    size: int,
    forms: Iterable[tuple[str, bool]],
    labels: Sequence[str],
    device: torch.device,
) -> Constraint:
    """The table for forms of answers, which are expressions as in `florence_annotate.tasks.FORMS`.

    `size` is V, the width of the scores. Each form comes with whether its text must be one of the
    `labels`, which are spelled exactly as they are given. The table is put on the device.
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
"""A state of the grammar, and the tokens of a label that have been spelled in it."""
Steps = dict[State, dict[Letter, State | None]]
"""For each state, the state that each letter leads to; None is the end."""

_FIRST: State = (START, ())


def _free(grammar: Grammar, own_letters: Iterable[int]) -> Steps:
    """The steps of a grammar with any text; tokens that spell labels are text like others."""
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
    """The steps of a grammar in which every text is one of the labels."""
    steps: Steps = {}
    prefixes = {label[:end] for label in labels for end in range(1, len(label) + 1)}
    for state, following in grammar.following.items():
        is_text = state != START and grammar.letters[state] == _TEXT
        for spelled in prefixes if is_text else {()}:
            after: dict[Letter, State | None] = {}
            if not is_text or spelled in labels:  # a text goes on until a label is complete
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
    """The rows of the table: those of one form after those of another."""

    def __init__(self, width: int) -> None:
        self._width = width
        self.rows: list[list[int]] = [[-1] * width]

    def add(self, steps: Steps, letters: dict[Letter, int]) -> int:
        """Append the states of a form; returns the number of the one in which answers begin."""
        numbers = {state: len(self.rows) + index for index, state in enumerate(steps)}
        for after in steps.values():
            row = [-1] * self._width
            for letter, state in after.items():
                row[letters[letter]] = 0 if state is None else numbers[state]
            self.rows.append(row)
        self.rows[0][letters[_END]] = 0
        return numbers[_FIRST]
