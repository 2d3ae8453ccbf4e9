"""Reads the tensors of a file, whoever saved it, without running any code that it may hold."""

import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from florence_annotate.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor

_KEYS = ("state_dict", "model_state_dict", "model", "module")
"""Keys under which training scripts keep the tensors, beside the state of their optimizer."""
_VALUES = (".weight", ".bias", ".pos_idx_to_embed")
"""How the names of all tensors of a Florence-2 end. None of them is of whole numbers."""


def read_tensors(file: Path) -> "dict[str, Tensor]":
    """The tensors of a safetensors file, or of a PyTorch file that is loaded with `weights_only`.

    Raises CheckpointError for a file that can't be read, would run code, or holds something else.
    """
    import torch
    from safetensors.torch import load_file

    from florence_annotate.model.memory import is_out_of_memory

    try:
        if file.suffix == ".safetensors":
            held: Any = load_file(file)
        else:
            with warnings.catch_warnings(action="ignore"):  # of a program, which is refused below
                held = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise CheckpointError(_say_unreadable(file, error)) from error
    if problem := _other_than_tensors(held):
        raise CheckpointError(
            f"{file} holds {problem}: save the model again with its own save_pretrained"
        )
    return dict(held)


def refuse_whole_numbers(tensors: "Mapping[str, Tensor]", name: str) -> None:
    """Raise CheckpointError for weights of whole numbers, which stand for other values.

    `name` is that of what has them, for the message.
    """
    for tensor_name, tensor in tensors.items():
        if tensor_name.endswith(_VALUES) and not tensor.is_floating_point():
            raise CheckpointError(
                f"{name} can't be read: its tensor {tensor_name} is of "
                f"{str(tensor.dtype).removeprefix('torch.')}, so its weights are quantized: take "
                "what it was made from, and --dtype bfloat16 where memory is short"
            )


def _say_unreadable(file: Path, error: Exception) -> str:
    # what PyTorch says goes over many lines, and advises to load the file all the same
    code = re.search(r"\bGLOBAL ([\w.]+)|(TorchScript|legacy \.tar)", str(error))
    if code:
        return (
            f"{file} would run code when it is loaded ({code[1] or code[2]}): get the safetensors, "
            "or have it saved again with its tensors alone"
        )
    if isinstance(error, pickle.UnpicklingError):
        return f"can't read {file}, which is no file of tensors: is the download complete?"
    reason = (str(error).strip().splitlines() or ["it ends too early"])[0]
    return f"can't read {file} ({type(error).__name__}: {reason}): is the download complete?"


def _other_than_tensors(held: Any) -> str | None:
    """What a file holds instead of tensors by their names, in words for the user."""
    from torch import Tensor

    if not isinstance(held, Mapping):
        return f"a {type(held).__name__}, and no tensors by their names"
    for key in _KEYS:
        if isinstance(held.get(key), Mapping):
            return f"its tensors under the key {key!r}, and not by their names alone"
    for name, value in held.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            return f"{name!r}, which is no tensor but a {type(value).__name__}"
    return None
