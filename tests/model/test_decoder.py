"""One step of the decoder against that of transformers, and its caches."""

import operator
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
    view = decoder.view(caches, rows=2, beams=1, width=8)
    for position in range(5):
        at = torch.full((2,), position)
        logits = decoder.step(tokens[:, position, None], at, view, ancestry)
        assert torch.allclose(logits[:, 0], expected[:, position], atol=1e-4)


def test_a_beam_sees_its_own_past_and_no_other(model: Florence, decoder: Decoder) -> None:
    """Beam 0 goes on from what beam 1 wrote: only the table says so, the cache stays."""
    states = torch.randn(1, 6, model.network.config.text_config.d_model)
    mask = torch.ones(1, 6, dtype=torch.bool)
    caches = decoder.allocate(rows=1, beams=2, positions=8, source=8)
    decoder.place_source(caches, torch.tensor([0]), states, mask)
    ancestry = torch.arange(2)[None, :, None].expand(1, 2, 8).clone()
    view = decoder.view(caches, rows=1, beams=2, width=8)
    steps = [[2, 2], [60, 70]]
    for position, pair in enumerate(steps):
        decoder.step(torch.tensor([pair]), torch.tensor([position]), view, ancestry)
    ancestry[0, 0, :2] = 1
    logits = decoder.step(torch.tensor([[80, 80]]), torch.tensor([2]), view, ancestry)
    assert torch.allclose(logits[0, 0], logits[0, 1], atol=1e-5)


def test_caches_that_are_enlarged_hold_what_they_held(decoder: Decoder) -> None:
    caches = decoder.allocate(rows=2, beams=1, positions=4, source=4)
    held = [tensor.normal_() for tensor in (*caches.past, *caches.source)]
    caches.source_mask[1, ..., 3:] = -torch.inf
    mask = caches.source_mask
    caches.enlarge(6, 5)
    for tensor, before in zip((*caches.past, *caches.source), held, strict=True):
        assert torch.equal(tensor[..., :4, :], before)
        assert not tensor[..., 4:, :].any()
    assert caches.slots == 6 and caches.source[0].shape[3] == 5
    assert torch.equal(caches.source_mask[..., :4], mask)
    assert (caches.source_mask[..., 4:] == -torch.inf).all()
    same = [*caches.past, *caches.source, caches.source_mask]
    caches.enlarge(3, 2)
    assert all(map(operator.is_, same, (*caches.past, *caches.source, caches.source_mask)))
