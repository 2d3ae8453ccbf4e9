"""How sure each location is, against the whole distributions that it was taken from."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from small_models import ask
from torch import Tensor

from florence_annotate import tasks
from florence_annotate.images.resizing import model_pixels
from florence_annotate.model.florence import Florence
from florence_annotate.model.generation.spreads import Spreads
from florence_annotate.shapes.scenes import paint
from florence_annotate.types import SPREAD_RANGES, Answer, Generation, Question, TokenKind

FIRST = 20
"""The id of `<loc_0>` in these tests' vocabulary of 1,100 tokens."""


def in_ranges(probabilities: Tensor, chosen: int) -> list[float]:
    """Of a distribution over 1,000 bins the mass in each range, one bin after the other."""
    return [
        sum(
            float(probabilities[chosen + offset])
            for offset in range(low, high + 1)
            if 0 <= chosen + offset < 1000
        )
        for low, high in SPREAD_RANGES
    ]


def test_the_mass_of_each_range_is_told_in_255ths() -> None:
    torch.manual_seed(0)
    logprobs = torch.log_softmax(2 * torch.randn(2, 3, 1100), dim=2)
    tokens = FIRST + torch.tensor([[0, 5, 999, 500], [1, 998, 126, 873]])
    parents = torch.tensor([[0, 2, 1, 2], [1, 1, 0, 2]])
    found = Spreads(FIRST, torch.device("cpu")).of(logprobs, tokens, parents)
    assert found.shape == (2, 4, len(SPREAD_RANGES)) and found.dtype == torch.uint8
    for row in range(2):
        for k in range(4):
            distribution = logprobs[row, parents[row, k], FIRST : FIRST + 1000].exp()
            expected = in_ranges(distribution, int(tokens[row, k]) - FIRST)
            assert found[row, k].numpy() / 255 == pytest.approx(expected, abs=0.51 / 255)


@torch.inference_mode()
def distributions(model: Florence, features: Tensor, answer: Answer) -> list[tuple[int, Tensor]]:
    """Of each location in an answer its bin and, of transformers' own decoder, the distribution."""
    ids = [model.vocabulary.prompt_ids(tasks.prompt(answer.question))]
    states, _ = model.encode_prompts(features[None], ids)
    pieces = [answer.data[first:end] for first, end in pairwise((0, *answer.ends))]
    ids_of = {model.vocabulary.token_bytes(i): i for i in range(model.decoder.vocabulary_size)}
    tokens = [ids_of[piece] for piece in pieces]
    written = torch.tensor([[2, 0, *tokens]])  # the start token, and the forced first one
    network = model.network.model.language_model.decoder
    logits = model.network.lm_head(
        network(input_ids=written, encoder_hidden_states=states).last_hidden_state
    )[0]
    first = model.vocabulary.first_location
    return [
        (token - first, logits[place + 1].softmax(0)[first : first + 1000])
        for place, token in enumerate(tokens)
        if model.vocabulary.kind(token) is TokenKind.LOCATION
    ]


@pytest.mark.parametrize("beams", [1, 3])
def test_answers_tell_the_spread_of_each_location(model: Florence, beams: int) -> None:
    pixels = [model_pixels(paint(seed).image, 96)[0] for seed in (3_300_000, 3_300_001)]
    features = model.encode(pixels)
    question = Question(tasks.OD)
    generation = Generation(96, beams, 0, retry_truncated=False)
    answers = ask(model, features, [(0, question), (1, question)], generation, rows=2)
    for index, answer in enumerate(answers):
        expected = distributions(model, features[index], answer)
        assert len(expected) >= 4
        found = np.frombuffer(answer.spreads, np.uint8).reshape(-1, len(SPREAD_RANGES)) / 255
        assert len(found) == len(expected)
        for row, (chosen, distribution) in zip(found, expected, strict=True):
            assert row == pytest.approx(in_ranges(distribution, chosen), abs=0.6 / 255)


def test_answers_of_a_job_that_keeps_none_have_none(model: Florence) -> None:
    pixels = [model_pixels(paint(3_300_000).image, 96)[0]]
    generation = Generation(96, 1, 0, retry_truncated=False, keep_spreads=False)
    (answer,) = ask(model, model.encode(pixels), [(0, Question(tasks.OD))], generation)
    assert answer.spreads == b"" and TokenKind.LOCATION in answer.kinds
