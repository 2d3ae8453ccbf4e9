"""One step of the decoder against that of transformers, and its caches."""

from collections.abc import Iterator

import pytest
import torch

from florence_annotate.model.attention import attend_by
from florence_annotate.model.decoder import Decoder
from florence_annotate.model.florence import Florence


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    torch.manual_seed(0)
    with torch.inference_mode():
        yield


@pytest.fixture
def decoder(model: Florence) -> Decoder:
    return Decoder(model.network, attend_by("sdpa"))


def test_steps_give_the_logits_that_the_library_gives_for_the_whole_sequence(
    model: Florence, decoder: Decoder
) -> None:
    """Two rows, the second with padding among its encoder states."""
    states = torch.randn(2, 12, model.network.config.text_config.d_model)
    mask = torch.ones(2, 12, dtype=torch.bool)
    mask[1, 9:] = False
    tokens = torch.tensor([[2, 0, 60, 70, 80], [2, 0, 90, 61, 62]])
    language = model.network.model.language_model
    hidden = language.decoder(
        input_ids=tokens, encoder_hidden_states=states, encoder_attention_mask=mask.long()
    ).last_hidden_state
    expected = model.network.lm_head(hidden)
    caches = decoder.allocate(rows=2, beams=1, positions=8, source=16)
    decoder.place_source(caches, torch.tensor([0, 1]), states, mask)
    ancestry = torch.zeros(2, 1, 8, dtype=torch.long)
    for position in range(5):
        at = torch.full((2,), position)
        logits = decoder.step(tokens[:, position, None], at, caches, ancestry, width=8)
        assert torch.allclose(logits[:, 0], expected[:, position], atol=1e-4)


def test_a_beam_sees_its_own_past_and_no_other(model: Florence, decoder: Decoder) -> None:
    """Beam 0 goes on from what beam 1 wrote: only the table says so, the cache stays."""
    states = torch.randn(1, 6, model.network.config.text_config.d_model)
    mask = torch.ones(1, 6, dtype=torch.bool)
    caches = decoder.allocate(rows=1, beams=2, positions=8, source=8)
    decoder.place_source(caches, torch.tensor([0]), states, mask)
    ancestry = torch.arange(2)[None, :, None].expand(1, 2, 8).clone()
    steps = [[2, 2], [60, 70]]
    for position, pair in enumerate(steps):
        decoder.step(torch.tensor([pair]), torch.tensor([position]), caches, ancestry, 8)
    ancestry[0, 0, :2] = 1
    logits = decoder.step(torch.tensor([[80, 80]]), torch.tensor([2]), caches, ancestry, 8)
    assert torch.allclose(logits[0, 0], logits[0, 1], atol=1e-5)


def test_larger_caches_take_over_what_smaller_ones_hold(decoder: Decoder) -> None:
    small, large = (decoder.allocate(2, 1, positions, positions) for positions in (4, 6))
    for tensor in (*small.past, *small.source):
        tensor.normal_()
    large.take_over(small)
    for held, taken in zip((*small.past, *small.source), (*large.past, *large.source), strict=True):
        assert torch.equal(taken[..., :4, :], held)
    assert (large.source_mask[..., 4:] == -torch.inf).all()
    assert torch.equal(large.source_mask[..., :4], small.source_mask)
