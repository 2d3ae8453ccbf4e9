"""Linear layers by every kernel, held to plain PyTorch."""

from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torch.nn import functional

from florence_annotate.model import linear


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    torch.manual_seed(0)
    with torch.inference_mode():
        yield


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
