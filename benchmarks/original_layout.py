"""Native checkpoints written in the layout of Microsoft's own repositories.

The product reads that layout and never writes it; tests and benchmarks need both of one network.
The names are those that Microsoft's code gives (`modeling_florence2.py` in microsoft/Florence-2-*).
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

_RENAMES = (
    # native, original; applied in this order
    (r"^model\.language_model\.", "language_model.model."),
    (r"^lm_head\.", "language_model.lm_head."),
    (r"^model\.multi_modal_projector\.image_projection\.weight$", "image_projection"),
    (r"^model\.multi_modal_projector\.image_position_embed\.", "image_pos_embed."),
    (r"^model\.multi_modal_projector\.", ""),
    (r"^model\.vision_tower\.", "vision_tower."),
    (r"(\.convs\.\d+)\.conv\.", r"\1.proj."),
    (r"\.(conv[12])\.", r".\1.fn.dw."),
    (r"\.(spatial|channel)_block\.norm1\.", r".\1_block.NORM."),
    (r"\.(window_attn|channel_attn)\.(qkv|proj)\.", r".\1.fn.\2."),
    (r"\.norm2\.", ".ffn.norm."),
    (r"\.ffn\.(fc[12])\.", r".ffn.fn.net.\1."),
    (r"\.spatial_block\.NORM\.", ".spatial_block.window_attn.norm."),
    (r"\.channel_block\.NORM\.", ".channel_block.channel_attn.norm."),
)
_TIED = ("lm_head", "model.encoder.embed_tokens", "model.decoder.embed_tokens")


def original_name(name: str) -> str:
    """What the original layout calls a tensor."""
    for pattern, replacement in _RENAMES:
        name = re.sub(pattern, replacement, name)
    return name


def original_tensors(native: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A network's tensors as the original layout has them; what is tied is there each time."""
    renamed = {
        original_name(name): tensor.T.contiguous() if "image_projection" in name else tensor
        for name, tensor in native.items()
    }
    shared = renamed["language_model.model.shared.weight"]
    for tied in _TIED:
        renamed.setdefault(f"language_model.{tied}.weight", shared.clone())
    renamed["language_model.final_logits_bias"] = torch.zeros(1, len(shared))
    return renamed


def original_config(native: Mapping[str, Any], generation: Mapping[str, Any]) -> dict[str, Any]:
    """A `config.json` of the original layout; settings of generation stand in its text part."""
    vision = dict(native["vision_config"])
    vision |= {
        "model_type": "davit",
        "dim_embed": vision.pop("embed_dim"),
        "visual_temporal_embedding": {
            "type": "COSINE",
            "max_temporal_embeddings": vision.pop("max_temporal_embeddings"),
        },
        "image_pos_embed": {
            "type": "learned_abs_2d",
            "max_pos_embeddings": vision.pop("max_position_embeddings"),
        },
    }
    text = {**native["text_config"], "model_type": "florence2_language", **generation}
    return {**native, "vision_config": vision, "text_config": text}
