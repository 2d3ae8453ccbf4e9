"""LoRA adapters as peft saves them: merges their weights into a loaded network.

An adapted layer computes W x + s · B A x, with A of r rows and s = alpha / r, or alpha / sqrt(r)
where the adapter says `use_rslora` (https://arxiv.org/abs/2106.09685, 2312.03732). A merged layer
holds W + s · B A, which computes the same in one product. Modules may be named as in any of the
layouts.
"""

import math
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from florence_annotate.checkpoints import layouts
from florence_annotate.checkpoints.files import load_json, refuse_pointers
from florence_annotate.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor, nn

CONFIG = "adapter_config.json"
_FILES = ("adapter_model.safetensors", "adapter_model.bin")
_PREFIX = "base_model.model."
_ENDS = (".lora_A.weight", ".lora_B.weight")
"""How the names of a layer's A and B end."""

_WHOLE = "merge it with peft's merge_and_unload, save the model, and give that folder as --model"
_CONVERT = (
    "where it was trained, save it as a plain LoRA with peft's save_pretrained(..., "
    "path_initial_model_for_weight_conversion=...), or "
)
_UNREAD = {
    # setting of peft's LoraConfig: what it makes of the adapter
    "use_dora": "DoRA, which also trains the lengths of the weights' rows",
    "trainable_token_indices": "embeddings of single tokens, trained beside the layers "
    "(trainable_token_indices)",
    "lora_bias": "LoRA with biases of its own (lora_bias)",
    "target_parameters": "LoRA of parameters that are no layer's weight (target_parameters)",
    "kasa_config": "KaSA, which changes the base weights too",
    "monteclora_config": "MonteCLoRA, which samples its weights",
    "use_bdlora": "BD-LoRA, whose matrices are made of blocks",
}
_UNMERGEABLE = {
    "alora_invocation_tokens": "activated LoRA, which changes a part of each text alone",
    "arrow_config": "Arrow, which chooses among adapters token by token",
    "use_qalora": "QALoRA, whose weights belong to quantised ones",
}
_SOUND_INITIALISATIONS = ("true", "false", "none", "gaussian", "eva", "orthogonal", "mica")
"""Those that leave the weights under the adapter as they are, in `LoraLayer` of peft 0.21."""
_CHANGING_INITIALISATIONS = {
    # how its name begins: what it is called
    "pissa": "PiSSA",
    "olora": "OLoRA",
    "corda": "CorDA",
    "loftq": "LoftQ",
    "lora_ga": "LoRA-GA",
}
"""Those that move a part of the weights into the adapter, so that it fits only what is left of
them. peft does the same anew when it loads such an adapter."""


def files(folder: Path) -> list[Path]:
    """The two files of an adapter: its configuration, then its weights.

    Raises CheckpointError where one of them is missing, or the weights are a Git LFS pointer.
    """
    weights = next((folder / name for name in _FILES if (folder / name).is_file()), None)
    if weights is None or not (folder / CONFIG).is_file():
        raise CheckpointError(
            f"{folder} is no adapter: it needs {CONFIG} and {_FILES[0]}, as peft's "
            "save_pretrained writes them"
        )
    return [folder / CONFIG, *refuse_pointers([weights])]


def refuse_unreadable(folder: Path) -> None:
    """Raises CheckpointError for an adapter that can't be merged right, and says what to do."""
    _read_config(folder)


def merge(folder: Path, weights: "Mapping[str, Tensor]", network: Any) -> None:
    """Merge an adapter's weights into a network of transformers, in place.

    `weights` are the tensors of its file. A weight that layers share is copied before it is
    changed, so that no other layer changes with it. Raises CheckpointError for an adapter of
    another kind or without tensors, and by name for a layer that the network lacks or that has
    another shape there.
    """
    import torch

    config = _read_config(folder)
    tensors = {name.removeprefix(_PREFIX): tensor for name, tensor in weights.items()}
    if not tensors:
        raise CheckpointError(
            f"the adapter {folder} holds no LoRA tensors, as some trainers leave it: save it again "
            "with peft's save_pretrained"
        )
    modules = dict(network.named_modules())
    with torch.no_grad():
        for name, tensor in _replacements(folder, tensors):
            owner, _, field = name.rpartition(".")
            module = _find(modules, owner, folder)
            held = getattr(module, field, None)
            if held is None or held.shape != tensor.shape:
                raise CheckpointError(
                    f"the adapter {folder} does not fit: it has a tensor {name} that this "
                    "checkpoint lacks or has in another shape: it was trained on another one"
                )
            _own(module, field, tensor)
        for name, (low, high) in _pairs(folder, tensors):
            module = _find(modules, name, folder)
            shape = module.weight.shape
            if getattr(module, "groups", 1) > 1:
                raise CheckpointError(
                    f"the adapter {folder} adapts {name}, a convolution of each channel by itself, "
                    "which peft can't merge either: train one without it (exclude_modules)"
                )
            if min(low.dim(), high.dim()) < 2 or not len(low):
                raise CheckpointError(
                    f"the adapter {folder} has {tuple(high.shape)} by {tuple(low.shape)} for "
                    f"{name}, which is no LoRA of rank 1 or more: save it again with peft's "
                    "save_pretrained"
                )
            if (len(high), *low.shape[1:]) != shape or high.flatten(1).shape[1] != len(low):
                raise CheckpointError(
                    f"the adapter {folder} does not fit: {name} has weights of shape "
                    f"{tuple(shape)}, and it has {tuple(high.shape)} by {tuple(low.shape)} for "
                    "them: it was trained on another checkpoint"
                )
            product = high.float().flatten(1) @ low.float().flatten(1)
            delta = _scale(config, name, len(low)) * product.view(shape)
            _own(module, "weight", module.weight.float() + delta)


def _read_config(folder: Path) -> dict[str, Any]:
    config = load_json(files(folder)[0], f"the adapter {folder}")
    for key in ("peft_type", "r", "lora_alpha"):
        if key not in config:
            raise CheckpointError(
                f"can't read {folder / CONFIG}: it lacks {key}: take the file that peft's "
                "save_pretrained wrote"
            )
    if wrong := _wrong_scale(config):
        raise CheckpointError(
            f"can't read {folder / CONFIG}: {wrong}: take the file that peft's save_pretrained "
            "wrote"
        )
    _refuse_other_kinds(folder, config)
    _refuse_changed_base(folder, config.get("init_lora_weights", True))
    return config


def _wrong_scale(config: Mapping[str, Any]) -> str | None:
    """What of an adapter's scale is none, in words for the user; None where nothing is."""
    patterns = config.get("alpha_pattern") or {}
    if not isinstance(patterns, Mapping):
        return f"alpha_pattern is {patterns!r}"
    for alpha in (config["lora_alpha"], *patterns.values()):
        if type(alpha) not in (int, float) or not abs(alpha) <= sys.float_info.max:
            return f"an alpha is {alpha!r}"
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            return f"{pattern!r} in alpha_pattern is no regular expression ({error})"
    return None


def _refuse_other_kinds(folder: Path, config: Mapping[str, Any]) -> None:
    unread = [words for setting, words in _UNREAD.items() if config.get(setting)]
    unmergeable = [words for setting, words in _UNMERGEABLE.items() if config.get(setting)]
    if unmergeable:
        raise CheckpointError(
            f"the adapter {folder} is {', '.join(unmergeable)}: it can't be merged into a model, "
            "as adapters are here; train a plain LoRA"
        )
    if config["peft_type"] != "LORA" or unread:
        raise CheckpointError(
            f"the adapter {folder} is of a kind that is not read here "
            f"({', '.join(unread) or config['peft_type']}): {_WHOLE}"
        )


def _refuse_changed_base(folder: Path, initialisation: Any) -> None:
    name = str(initialisation).lower()
    if name in _SOUND_INITIALISATIONS:
        return
    known = (word for start, word in _CHANGING_INITIALISATIONS.items() if name.startswith(start))
    if word := next(known, None):
        reason = f"{word}, which changes the base weights too, so that it would merge wrong"
    else:
        reason = "a method that is not known here, which may change the base weights too"
    # what LoftQ takes out of the weights is lost by rounding
    remedy = "" if word == "LoftQ" else _CONVERT
    raise CheckpointError(
        f"the adapter {folder} was initialised by {reason} (init_lora_weights "
        f"{initialisation!r}): {remedy}{_WHOLE}"
    )


def _scale(config: Mapping[str, Any], name: str, rank: int) -> float:
    alpha = config["lora_alpha"]
    for pattern, own in (config.get("alpha_pattern") or {}).items():
        # as peft matches it: the end of the module's name, and the first that does
        if re.match(rf"(.*\.)?({pattern})$", name):
            alpha = own
            break
    return float(alpha / math.sqrt(rank) if config.get("use_rslora") else alpha / rank)


def _pairs(
    folder: Path, tensors: "Mapping[str, Tensor]"
) -> "Iterator[tuple[str, tuple[Tensor, Tensor]]]":
    """Module names with their A, shape (rank, inputs), and B, shape (outputs, rank)."""
    for module in dict.fromkeys(
        name.removesuffix(end) for name in tensors for end in _ENDS if name.endswith(end)
    ):
        for end in _ENDS:
            if f"{module}{end}" not in tensors:
                raise CheckpointError(
                    f"the adapter {folder} lacks {module}{end}: save it again with peft's "
                    "save_pretrained"
                )
        low, high = (tensors[f"{module}{end}"] for end in _ENDS)
        yield module, (low, high)


def _replacements(folder: Path, tensors: "Mapping[str, Tensor]") -> "Iterator[tuple[str, Tensor]]":
    """Tensors that were trained whole: those of `modules_to_save`, and biases."""
    for name, tensor in tensors.items():
        if name.endswith(_ENDS):
            continue
        if "lora_" in name:
            raise CheckpointError(
                f"the adapter {folder} adapts {name}, which is not read here: {_WHOLE}"
            )
        yield name.replace(".base_layer.", "."), tensor


def _find(modules: "Mapping[str, nn.Module]", name: str, folder: Path) -> Any:
    for candidate in (f"{name}.weight", *layouts.native_names(f"{name}.weight")):
        module = modules.get(candidate.removesuffix(".weight"))
        if module is not None and hasattr(module, "weight"):
            return module
    raise CheckpointError(
        f"the adapter {folder} does not fit: this checkpoint has no layer {name}; it was trained "
        "on another one"
    )


def _own(module: Any, field: str, value: "Tensor") -> None:
    """Give a module a tensor of its own, which it shares with no other."""
    from torch import nn

    held = getattr(module, field)
    setattr(module, field, nn.Parameter(value.to(held.dtype), requires_grad=False))
