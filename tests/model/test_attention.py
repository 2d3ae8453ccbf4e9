"""Attention by every kernel."""

from collections.abc import Iterator

import pytest
import torch

from florence_annotate.model.attention import FewQueries, attend_by


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    torch.manual_seed(0)
    with torch.inference_mode():
        yield


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
    few = FewQueries(attend_by("sdpa"), query)
    mixed = few(query.transpose(1, 2), few.memory(key, value), few.mask(mask, 4))
    assert torch.allclose(mixed, expected.transpose(1, 2).reshape(10, 32), atol=1e-6)
