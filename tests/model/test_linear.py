"""The written-out layers against the library's modules, and kernels against each other."""

from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torch.nn import functional

from florence_annotate.checkpoints import checkpoint as checkpoints
from florence_annotate.model import linear
from florence_annotate.model.attention import FewQueries, attend_by
from florence_annotate.model.encoder import Encoder
from florence_annotate.model.florence import Florence
from florence_annotate.model.vision import VisionTower

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    torch.manual_seed(0)
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def model() -> Florence:
    return Florence(checkpoints.find("shapes"), torch.device("cpu"), torch.float32, "sdpa")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("gelu", [False, True])
@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("rows", [(3,), (40, 50)])
@pytest.mark.parametrize("is_packed", [False, True])
def test_every_kernel_gives_the_same_products(
    rows: tuple[int, ...], has_bias: bool, gelu: bool, dtype: torch.dtype, is_packed: bool
) -> None:
    """(3,) is too small for oneDNN, (40, 50) is not."""
    states, weight = torch.randn(*rows, 64).to(dtype), torch.randn(96, 64).to(dtype) / 8
    bias = torch.randn(96).to(dtype) if has_bias else None
    expected = functional.linear(
        states.float(), weight.float(), None if bias is None else bias.float()
    )
    if gelu:
        expected = functional.gelu(expected)
    layer = linear.Affine(weight, bias)
    out = linear.linear(states, linear.pack(layer) if is_packed else layer, gelu=gelu)
    assert out.dtype is dtype
    assert torch.allclose(out.float(), expected, atol=1e-4 if dtype is torch.float32 else 0.05)


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.GELU(approximate="tanh")])
def test_an_activation_that_is_not_the_exact_gelu_is_used_as_it_is(activation: nn.Module) -> None:
    inner, outer = nn.Linear(64, 256), nn.Linear(256, 64)
    states = torch.randn(400, 64)
    out = linear.feed_forward(states, linear.affine(inner), linear.affine(outer), activation)
    assert torch.allclose(out, outer(activation(inner(states))), atol=1e-5)


def test_joined_layers_keep_their_values() -> None:
    layers = [nn.Linear(8, 4), nn.Linear(8, 6)]
    states = torch.randn(5, 8)
    expected = torch.cat([layer(states) for layer in layers], dim=1)
    joined = linear.join(*layers)
    assert torch.allclose(linear.linear(states, joined), expected)
    assert torch.allclose(torch.cat([layer(states) for layer in layers], dim=1), expected)


@pytest.mark.parametrize("has_mask", [False, True])
def test_attention_is_the_same_by_every_kernel(has_mask: bool) -> None:
    query, key, value = torch.randn(3, 2, 4, 5, 8)
    mask = None
    if has_mask:
        mask = torch.zeros(2, 1, 5, 5).masked_fill(torch.ones(5, 5).triu(1).bool(), -torch.inf)
    expected = attend_by("eager")(query, key, value, mask)
    assert torch.allclose(attend_by("sdpa")(query, key, value, mask), expected, atol=1e-6)
    if mask is None:
        return
    few = FewQueries(attend_by("sdpa"), query.device)
    mixed = few(query.transpose(1, 2), few.memory(key, value), few.mask(mask, 4))
    assert torch.allclose(mixed, expected.transpose(1, 2).reshape(10, 32), atol=1e-6)


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


@pytest.mark.parametrize("side", [96, 104])
def test_the_vision_tower_is_the_librarys(model: Florence, side: int) -> None:
    """At 104 pixels no stage is a whole number of windows."""
    pixels = torch.randint(0, 256, (2, 3, side, side), dtype=torch.uint8)
    scale, shift = torch.tensor(STD).view(3, 1, 1), torch.tensor(MEAN).view(3, 1, 1)
    expected = model.network.get_image_features((pixels / 255 - shift) / scale).pooler_output
    for kind in ("sdpa", "eager"):
        features = VisionTower(model.network, attend_by(kind), MEAN, STD)(pixels)
        assert torch.allclose(features, expected, atol=1e-4)
