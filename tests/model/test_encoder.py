"""The encoder against that of transformers."""

from collections.abc import Iterator

import pytest
import torch

from florence_annotate.model.attention import attend_by
from florence_annotate.model.encoder import Encoder
from florence_annotate.model.florence import Florence


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    torch.manual_seed(0)
    with torch.inference_mode():
        yield


def test_the_encoder_is_the_librarys_with_and_without_padding(model: Florence) -> None:
    network = model.network
    embeddings = torch.randn(3, 70, network.config.text_config.d_model)
    mask = torch.ones(3, 70, dtype=torch.bool)
    encode = Encoder(network, attend_by("sdpa"))
    expected = network.get_encoder()(inputs_embeds=embeddings).last_hidden_state
    assert torch.allclose(encode(embeddings, None), expected, atol=1e-5)
    mask[1, 66:] = mask[2, 68:] = False
    expected = network.get_encoder()(inputs_embeds=embeddings, attention_mask=mask.long())[0]
    assert torch.allclose(encode(embeddings, mask)[mask], expected[mask], atol=1e-5)
