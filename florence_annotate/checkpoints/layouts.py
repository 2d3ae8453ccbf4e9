"""The layouts in which Florence-2 checkpoints are saved, as one table: `LAYOUTS`.

Each is turned into the native layout, that of transformers' own Florence-2, without running any
code of the checkpoint: its configuration is rewritten, its tensors are renamed. A new layout is one
entry of the table.
"""

import math
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


# What a configuration says of the network. Everything else in it (`output_attentions`, `max_length`
# 20, …) was left by whoever saved it, and would change how transformers' modules run.
_TEXT_FIELDS = (
    "d_model",
    "decoder_attention_heads",
    "decoder_ffn_dim",
    "decoder_layers",
    "encoder_attention_heads",
    "encoder_ffn_dim",
    "encoder_layers",
    "max_position_embeddings",
    "vocab_size",
)
_VISION_FIELDS = {
    # native: original
    "embed_dim": "dim_embed",
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
_OF_ALL_STAGES = ("window_size", "projection_dim")
"""The others are lists with an entry for each stage of the tower."""
_USUAL_STAGES = 4
"""How many transformers takes where such a list is missing."""
_TABLES = ("max_temporal_embeddings", "max_position_embeddings")
_NATIVE_VISION_FIELDS = (*_VISION_FIELDS, *_TABLES)
_ACTIVATIONS = (
    *("gelu", "gelu_fast", "gelu_new", "gelu_python", "gelu_pytorch_tanh", "quick_gelu"),
    *("relu", "silu", "swish"),
)
"""Those of transformers that Florence-2's kin were ever trained with; most have the first."""
_USUAL_FIELDS: Mapping[str, Callable[[Any], bool]] = {
    # name: whether it has a value that makes sense
    "activation_function": lambda value: value in _ACTIVATIONS,
    "in_channels": lambda value: type(value) is int and value == 3,
    "mlp_ratio": lambda value: type(value) in (int, float) and 0 < value < math.inf,
    "qkv_bias": lambda value: isinstance(value, bool),
    "scale_embedding": lambda value: isinstance(value, bool),
}
"""Of either part; where one is missing, transformers' default is that of every Florence-2."""


def _present(part: Config, *names: str) -> dict[str, Any]:
    return {name: part[name] for name in (*names, *_USUAL_FIELDS) if name in part}


def _native(text: Config, vision: Config, image_token_id: int) -> dict[str, Any]:
    return {
        "model_type": "florence2",
        "text_config": {**text, "model_type": "bart"},
        "vision_config": {**vision, "model_type": "florence_vision"},
        "image_token_id": image_token_id,
    }


def _is_florence2(config: Config) -> bool:
    return bool(config.get("model_type") == "florence2")


def _from_native(config: Config) -> dict[str, Any]:
    # saving leaves out what equals a default, which no vocabulary of Florence-2 does
    text, vision = config["text_config"], config["vision_config"]
    text = {**_present(text, *_TEXT_FIELDS), "vocab_size": text["vocab_size"]}
    vision = _present(vision, *_NATIVE_VISION_FIELDS)
    return _native(text, vision, config.get("image_token_id", 51_289))


NATIVE = Layout("native", _is_florence2, _from_native)
"""`florence-community/…` on the hub, and what transformers' `save_pretrained` writes."""


def _is_original(config: Config) -> bool:
    # these keys alone tell: native configurations may keep the original's key beside their own, and
    # what the parts are called (`model_type`) fine-tunes write in every way
    vision = config.get("vision_config")
    if not isinstance(vision, Mapping):
        return False
    return _is_florence2(config) and "dim_embed" in vision and "embed_dim" not in vision


def _from_original(config: Config) -> dict[str, Any]:
    text, vision = config["text_config"], config["vision_config"]
    return _native(
        {**_present(text), **{name: text[name] for name in _TEXT_FIELDS}},
        {
            **_present(vision),
            **{native: vision[name] for native, name in _VISION_FIELDS.items()},
            "max_temporal_embeddings": vision["visual_temporal_embedding"][
                "max_temporal_embeddings"
            ],
            "max_position_embeddings": vision["image_pos_embed"]["max_pos_embeddings"],
        },
        # the processor's placeholder, just past the vocabulary; prompts here hold none
        image_token_id=text["vocab_size"],
    )


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


_TOWERS = (None, "", "davit", "florence_vision")
"""What vision configurations call the tower that Florence-2 was published with."""
_FEATURES = ["spatial_avg_pool", "temporal_avg_pool"]


def foreign_part(config: Config) -> str | None:
    """What keeps a checkpoint that calls itself a Florence-2 from being one that can be read here;
    None where nothing does."""
    for part in ("text_config", "vision_config"):
        if not isinstance(config.get(part), Mapping):
            return f"{part} in its config.json is {config.get(part)!r}, and no JSON object"
    for key in ("quantization", "quantization_config"):
        if config.get(key):
            bits = config[key].get("bits") if isinstance(config[key], Mapping) else None
            return (
                f"its weights are quantized{f' to {bits} bits' if bits else ''} ({key} in its "
                "config.json): take the checkpoint that it was made from, and --dtype bfloat16 "
                "where memory is short"
            )
    vision = config["vision_config"]
    if vision.get("model_type") not in _TOWERS:
        return f"its vision tower is {vision['model_type']!r}, and Florence-2's is a DaViT"
    if vision.get("image_feature_source", _FEATURES) != _FEATURES:
        return (
            f"its image features are {vision['image_feature_source']}, and Florence-2's are "
            f"{_FEATURES}"
        )
    return None


def wrong_field(native: Config) -> str | None:
    """What of a native configuration is of another kind than Florence-2's, in words for the user;
    None where nothing is."""
    text, vision = native["text_config"], native["vision_config"]
    counts = (
        *((name, text) for name in _TEXT_FIELDS),
        *((name, vision) for name in (*_OF_ALL_STAGES, *_TABLES)),
    )
    for name, part in counts:
        if name in part and not _is_count(part[name], 1):
            return f"{name} is {part[name]!r}"
    for name, is_right in _USUAL_FIELDS.items():
        for part in (text, vision):
            if name in part and not is_right(part[name]):
                return f"{name} is {part[name]!r}"
    if not _is_count(native["image_token_id"], 0):
        return f"image_token_id is {native['image_token_id']!r}"
    return _wrong_stages(vision) or _indivisible(text, vision)


def _is_count(value: Any, least: int) -> bool:
    return type(value) is int and value >= least


def _wrong_stages(vision: Config) -> str | None:
    fields = [name for name in _VISION_FIELDS if name not in _OF_ALL_STAGES]
    missing = [name for name in fields if name not in vision]
    stages = [name for name in fields if name in vision]
    for name in stages:
        values = vision[name]
        if not isinstance(values, list) or not all(_is_of_stage(name, each) for each in values):
            return f"{name} is {values!r}"
        if missing and len(values) != _USUAL_STAGES:
            return f"{name} is {values!r}, and {missing[0]} is missing"
        if len(values) != len(vision[stages[0]]):
            return f"{name} is {values!r}, another number of stages than {stages[0]}"
    return None


def _is_of_stage(name: str, value: Any) -> bool:
    if name == "patch_prenorm":
        return isinstance(value, bool)
    return _is_count(value, 0 if name == "patch_padding" else 1)


def _indivisible(text: Config, vision: Config) -> str | None:
    """Which width is no multiple of what it is divided into; the widths and counts are right."""
    pairs = [
        ("d_model", text.get("d_model"), heads, text.get(heads))
        for heads in ("encoder_attention_heads", "decoder_attention_heads")
    ]
    for parts in ("num_heads", "num_groups"):
        stages = zip(vision.get("embed_dim", ()), vision.get(parts, ()), strict=False)
        pairs += [("embed_dim", width, parts, count) for width, count in stages]
    for width_name, width, parts, count in pairs:
        if width and count and width % count:
            return f"{width_name} is {width}, and no multiple of {parts} {count},"
    return None


def native_names(name: str) -> list[str]:
    """What a tensor may be called natively, where its layout is not known."""
    return [layout.native_name(name) for layout in LAYOUTS]
