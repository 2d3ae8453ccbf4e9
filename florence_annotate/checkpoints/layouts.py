"""The layouts in which Florence-2 checkpoints are saved, as one table: `LAYOUTS`.

Each is turned into the native layout, that of transformers' own Florence-2, without running any
code of the checkpoint: its configuration is rewritten, its tensors are renamed. A new layout is one
entry of the table.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

Config = Mapping[str, Any]
"""The content of a `config.json`."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How to recognise a layout, and how to make the native one of it."""

    name: str
    recognises: Callable[[Config], bool]
    """Whether a `config.json` is of this layout."""
    native_config: Callable[[Config], dict[str, Any]]
    """What the native `config.json` would say. Raises KeyError for a field that is missing."""
    renames: tuple[tuple[str, str], ...] = ()
    """(regular expression, replacement) pairs, applied in this order to the name of a tensor."""
    transposed: frozenset[str] = frozenset()
    """Names of matrices that are stored the other way round."""
    left_out: frozenset[str] = frozenset()
    """Names of tensors that the native model has no use for."""

    def native_name(self, name: str) -> str:
        """The native name of a tensor."""
        for pattern, replacement in self.renames:
            name = re.sub(pattern, replacement, name)
        return name

    def native_tensors(self, tensors: "Mapping[str, Tensor]") -> "dict[str, Tensor]":
        """The tensors under their native names."""
        return {
            self.native_name(name): tensor.T if name in self.transposed else tensor
            for name, tensor in tensors.items()
            if name not in self.left_out
        }


def _is_florence2(config: Config) -> bool:
    return bool(config.get("model_type") == "florence2")


NATIVE = Layout("native", _is_florence2, dict)
"""`florence-community/…` on the hub, and what transformers' `save_pretrained` writes."""


_ORIGINAL_VISION_FIELDS = {
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


def _is_original(config: Config) -> bool:
    vision = config.get("vision_config") or {}
    text = config.get("text_config") or {}
    return _is_florence2(config) and (
        "dim_embed" in vision or text.get("model_type") == "florence2_language"
    )


def _from_original(config: Config) -> dict[str, Any]:
    vision = config["vision_config"]
    text = {key: value for key, value in config["text_config"].items() if key != "model_type"}
    return {
        "model_type": "florence2",
        "text_config": {**text, "model_type": "bart"},
        "vision_config": {
            "model_type": "florence_vision",
            **{native: vision[name] for name, native in _ORIGINAL_VISION_FIELDS.items()},
            "max_temporal_embeddings": vision["visual_temporal_embedding"][
                "max_temporal_embeddings"
            ],
            "max_position_embeddings": vision["image_pos_embed"]["max_pos_embeddings"],
        },
        # the processor's placeholder, just past the vocabulary; prompts here hold none
        "image_token_id": text["vocab_size"],
    }


ORIGINAL = Layout(
    "original",
    _is_original,
    _from_original,
    renames=(
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
    ),
    transposed=frozenset({"image_projection"}),
    left_out=frozenset({"language_model.final_logits_bias"}),  # zeros
)
"""`microsoft/Florence-2-…` on the hub, whose own code is not run."""


LAYOUTS: tuple[Layout, ...] = (ORIGINAL, NATIVE)
"""In this order: the first that recognises a configuration is taken."""


def layout_of(config: Config) -> Layout | None:
    """The layout of a `config.json`; None where it describes no Florence-2 that is known here."""
    return next((layout for layout in LAYOUTS if layout.recognises(config)), None)


def native_names(name: str) -> list[str]:
    """What a tensor may be called natively, where its layout is not known."""
    return [layout.native_name(name) for layout in LAYOUTS]
