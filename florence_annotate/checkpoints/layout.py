"""The layout of the original microsoft/Florence-2 repositories, read without their code.

Their configuration and the names of their tensors are turned into those of transformers' own
Florence-2; the values are the same, but for one matrix that is stored the other way round.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

_VISION_FIELDS = {
    # original: native
    "dim_embed": "embed_dim",
    "depths": "depths",
    "num_heads": "num_heads",
    "num_groups": "num_groups",
    "patch_size": "patch_size",
    "patch_stride": "patch_stride",
    "patch_padding": "patch_padding",
    "patch_prenorm": "patch_prenorm",
    "window_size": "window_size",
    "projection_dim": "projection_dim",
}

_RENAMES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"^language_model\.model\.", "model.language_model."),
        (r"^language_model\.lm_head\.", "lm_head."),
        (r"^image_projection$", "model.multi_modal_projector.image_projection.weight"),
        (r"^image_pos_embed\.", "model.multi_modal_projector.image_position_embed."),
        (r"^(image_proj_norm|visual_temporal_embed)\.", r"model.multi_modal_projector.\1."),
        (r"^vision_tower\.", "model.vision_tower."),
        (r"(\.convs\.\d+)\.proj\.", r"\1.conv."),
        (r"\.(conv[12])\.fn\.dw\.", r".\1."),
        (r"\.(?:window|channel)_attn\.norm\.", ".norm1."),
        (r"\.(window_attn|channel_attn)\.fn\.", r".\1."),
        (r"\.ffn\.norm\.", ".norm2."),
        (r"\.ffn\.fn\.net\.", ".ffn."),
    )
)


def is_original(config: Mapping[str, Any]) -> bool:
    """Whether a `config.json` is of the original layout."""
    vision = config.get("vision_config") or {}
    text = config.get("text_config") or {}
    return "dim_embed" in vision or text.get("model_type") == "florence2_language"


def native_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a native `config.json` would say. Raises KeyError for a field that is missing."""
    vision = config["vision_config"]
    text = {key: value for key, value in config["text_config"].items() if key != "model_type"}
    return {
        "model_type": "florence2",
        "text_config": {**text, "model_type": "bart"},
        "vision_config": {
            "model_type": "florence_vision",
            **{native: vision[original] for original, native in _VISION_FIELDS.items()},
            "max_temporal_embeddings": vision["visual_temporal_embedding"][
                "max_temporal_embeddings"
            ],
            "max_position_embeddings": vision["image_pos_embed"]["max_pos_embeddings"],
        },
        # the processor's placeholder, just past the vocabulary; prompts here hold none
        "image_token_id": text["vocab_size"],
    }


def native_tensors(tensors: "Mapping[str, Tensor]") -> "dict[str, Tensor]":
    """The tensors under their native names."""
    return {
        native_name(name): tensor.T if name == "image_projection" else tensor
        for name, tensor in tensors.items()
        if name != "language_model.final_logits_bias"  # zeros, and no part of the native model
    }


def native_name(name: str) -> str:
    """A tensor's name in transformers' own Florence-2."""
    for pattern, replacement in _RENAMES:
        name = pattern.sub(replacement, name)
    return name
