"""The vision tower against that of transformers, and that one against timm's DaViT."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from florence_annotate.model.attention import attend_by
from florence_annotate.model.florence import Florence
from florence_annotate.model.vision import VisionTower

WIDTHS, HEADS, DEPTHS, WINDOW = (16, 32, 64, 64), (2, 4, 8, 8), (1, 1, 2, 1), 6


TO_TIMM = (
    (r"^convs\.0\.", "stem."),
    (r"^convs\.(\d)\.", r"stages.\1.downsample."),
    (r"^blocks\.(\d)\.", r"stages.\1.blocks."),
    (r"\.(conv)([12])\.", r".cpe\2.proj."),
    (r"\.(window|channel)_attn\.", ".attn."),
    (r"\.ffn\.", ".mlp."),
)


def timm_davit() -> Any:
    """timm's class, where timm imports; it needs a torchvision that fits the torch."""
    try:
        from timm.models.davit import DaVit
    except Exception as error:  # a torchvision of another build raises nearly anything
        pytest.skip(f"timm does not import here: {error}")
    return DaVit


def test_the_vision_tower_computes_what_timms_davit_computes() -> None:
    davit = timm_davit()
    from transformers import Florence2VisionConfig
    from transformers.models.florence2.modeling_florence2 import Florence2VisionBackbone

    torch.manual_seed(0)
    config = Florence2VisionConfig(
        depths=DEPTHS, embed_dim=WIDTHS, num_heads=HEADS, num_groups=HEADS, window_size=WINDOW,
        projection_dim=64,
    )  # fmt: skip
    ours = Florence2VisionBackbone(config).eval()
    for parameter in ours.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    witness = davit(
        depths=DEPTHS, embed_dims=WIDTHS, num_heads=HEADS, window_size=WINDOW, down_kernel_size=3,
        channel_attn_v2=True, named_blocks=True, num_classes=0,
    ).eval()  # fmt: skip
    renamed = {}
    for name, tensor in ours.state_dict().items():
        for pattern, replacement in TO_TIMM:
            name = re.sub(pattern, replacement, name)
        renamed[name] = tensor
    report = witness.load_state_dict(renamed, strict=False)
    assert not report.unexpected_keys
    assert all(name.startswith("head.") for name in report.missing_keys)

    pixels = torch.randn(2, 3, 96, 160)  # no multiple of the window, so that padding counts
    with torch.inference_mode():
        found = ours(pixels).last_hidden_state
        expected = witness.forward_features(pixels)
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-4)


MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    torch.manual_seed(0)
    with torch.inference_mode():
        yield


@pytest.mark.parametrize("side", [96, 104])
def test_the_vision_tower_is_the_librarys(model: Florence, side: int) -> None:
    """At 104 pixels no stage is a whole number of windows."""
    pixels = torch.randint(0, 256, (2, 3, side, side), dtype=torch.uint8)
    scale, shift = torch.tensor(STD).view(3, 1, 1), torch.tensor(MEAN).view(3, 1, 1)
    expected = model.network.get_image_features((pixels / 255 - shift) / scale).pooler_output
    for kind in ("sdpa", "eager"):
        features = VisionTower(model.network, attend_by(kind), MEAN, STD)(pixels)
        assert torch.allclose(features, expected, atol=1e-4)
