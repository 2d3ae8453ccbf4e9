"""Rules for the next token: what is forbidden, and what is forced."""

from typing import Any

import torch
from transformers import NoRepeatNGramLogitsProcessor

from florence_annotate.model.generation.logit_filters import Rules, forbid, force, forced_tokens
from florence_annotate.model.generation.rows import Rows
from florence_annotate.types import Generation

NOWHERE = -torch.inf


def rules(ngram: int = 0, **settings: Any) -> Rules:
    chosen = {"start": 2, "end": 1, "forced_first": 0, "forced_last": 1} | settings
    return Rules(**chosen, generation=Generation(8, 1, ngram, retry_truncated=False))


def rows_of(*sequences: list[int], positions: int = 12) -> Rows:
    rows = Rows.allocate(len(sequences), 1, positions, torch.device("cpu"))
    for index, tokens in enumerate(sequences):
        rows.tokens[index, 0, : len(tokens)] = torch.tensor(tokens)
        rows.lengths[index], rows.limits[index], rows.done[index] = len(tokens), 8, False
    return rows


def test_repeats_are_forbidden_as_the_library_forbids_them_at_any_length() -> None:
    torch.manual_seed(0)
    sequences = [torch.randint(3, 6, (length,)).tolist() for length in (1, 2, 3, 5, 8, 11)]
    for ngram in (1, 2, 3, 4):
        scores = torch.randn(len(sequences), 8)
        found = forbid(rules(ngram), scores, rows_of(*sequences))
        library = NoRepeatNGramLogitsProcessor(ngram)
        for index, tokens in enumerate(sequences):
            expected = library(torch.tensor([tokens]), scores[index : index + 1].clone())
            assert torch.equal(found[index : index + 1], expected)


def test_without_rules_scores_stay_as_they_are() -> None:
    scores = torch.randn(2, 8)
    assert torch.equal(forbid(rules(), scores, rows_of([2, 3, 3, 3], [2])), scores)


def test_the_first_token_and_the_last_are_forced() -> None:
    rows = rows_of([2], [2, 0, 4], [2, 0, 4, 5, 6, 7, 4])
    assert forced_tokens(rules(), rows).tolist() == [0, -1, 1]
    free = rules(forced_first=None, forced_last=None)
    assert forced_tokens(free, rows).tolist() == [-1, -1, -1]


def test_a_forced_token_leaves_no_choice() -> None:
    scores, tokens = torch.randn(2, 3, 4), torch.randint(9, (2, 3, 4))
    held, written = force(scores, tokens, torch.tensor([5, -1]))
    assert held[0].tolist() == [[0.0, NOWHERE, NOWHERE, NOWHERE]] * 3
    assert written[0, :, 0].tolist() == [5, 5, 5]
    assert torch.equal(held[1], scores[1]) and torch.equal(written[1], tokens[1])
