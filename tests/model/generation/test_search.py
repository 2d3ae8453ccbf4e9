"""Greedy and beam search over a model that is a table: which token follows which.

That real models' answers are those of transformers' `generate` is held by `test_loop`.
"""

import math

import torch

from florence_annotate.model.generation.largest import largest_by_chunks
from florence_annotate.model.generation.logit_filters import Rules
from florence_annotate.model.generation.rows import Rows
from florence_annotate.model.generation.search import (
    BeamSearch,
    Greedy,
    Search,
)
from florence_annotate.types import Generation

START, END, A, B, C, D, E = range(7)
Following = dict[int, dict[int, float]]
FOLLOWING: Following = {
    START: {A: 0.6, B: 0.4},
    A: {A: 0.3, B: 0.3, C: 0.4},
    B: {C: 1.0},
    C: {END: 1.0},
}
"""Probabilities. The likeliest first step, A, does not lead to the likeliest answer, B C."""


def search(
    beams: int, limit: int = 8, following: Following = FOLLOWING, *, early_stopping: bool = False
) -> tuple[list[int], list[float]]:
    generation = Generation(limit, beams, 0, retry_truncated=False)
    rules = Rules(START, END, None, None, generation, early_stopping=early_stopping)
    rows = Rows.allocate(1, beams, limit + 1, torch.device("cpu"))
    chosen: Search = Greedy(rules, rows) if beams == 1 else BeamSearch(rules, rows)
    chosen.start(torch.tensor([0]), torch.tensor([limit]), torch.tensor([0]))
    while not rows.done.all():
        logits = torch.full((1, beams, 7), -1e4)
        for beam, last in enumerate(rows.last_tokens()[0].tolist()):
            for token, probability in following.get(last, {END: 1.0}).items():
                logits[0, beam, token] = math.log(probability)
        chosen.choose(rows, logits)
    (written,) = chosen.results([0])
    assert written.spreads == b""
    return written.tokens, written.logprobs


def test_greedy_takes_the_likeliest_token_at_each_step() -> None:
    tokens, logprobs = search(beams=1)
    assert tokens == [START, A, C, END]
    assert torch.allclose(torch.tensor(logprobs[1:]).exp(), torch.tensor([0.6, 0.4, 1.0]))


def test_beams_find_the_likeliest_answer() -> None:
    tokens, logprobs = search(beams=2)
    assert tokens == [START, B, C, END]
    assert torch.allclose(torch.tensor(logprobs[1:]).exp(), torch.tensor([0.4, 1.0, 1.0]))


def test_an_answer_ends_at_its_limit() -> None:
    for beams in (1, 2):
        tokens, _ = search(beams, limit=2)
        assert tokens == [START, A]


def test_a_search_that_stops_early_does_not_wait_for_what_could_be_better() -> None:
    following: Following = {
        START: {A: 0.55, B: 0.45},
        A: {C: 0.7, D: 0.3},
        B: {END: 1.0},
        C: {E: 1.0},
        D: {END: 0.6, E: 0.4},
    }
    # B and A D have ended, as many as there are beams, and A C E is more probable than A D
    assert search(2, following=following)[0] == [START, A, C, E, END]
    assert search(2, following=following, early_stopping=True)[0] == [START, B, END]


def test_the_largest_values_are_those_of_topk() -> None:
    """Also where they lie behind the last whole chunk, or all in one."""
    torch.manual_seed(0)
    values = torch.randn(6, 2_090)
    values[0, -1] = values[1, 7] = 9.0
    values[2, 300:306] += 9.0
    values[3, 4:] = -torch.inf
    found, at = largest_by_chunks(values, 4)
    assert torch.equal(found, values.topk(4).values)
    assert torch.equal(values.gather(1, at), found)
