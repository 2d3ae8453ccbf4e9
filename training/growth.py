"""Beginning with the weights of a trained checkpoint, also of one with fewer cells or layers.

What a smaller model has learnt is worth more than random weights: position embeddings are
interpolated to the finer grid of cells, and new layers go on top, where they at first pass on
nearly what they get.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from florence_annotate.shapes import INPUT_SIZE

_FIRST_POSITION = 2  # BART's tables of positions begin with two rows that are never used
_LAYER = re.compile(r"^(?P<stack>.*coder\.layers)\.(?P<index>\d+)\.(?P<part>.*)$")


@torch.no_grad()
def begin_with(model: Any, folder: Path, words: Tokenizer) -> None:
    """Overwrite a model's weights with those of a checkpoint.

    Args:
        model: A ``Florence2ForConditionalGeneration``, initialised; of the checkpoint's widths.
        folder: The checkpoint.
        words: The model's tokenizer; tokens that the checkpoint's has not stay as they are.

    Raises:
        KeyError: If the checkpoint lacks a tensor that isn't part of a new layer.
    """
    trained = load_file(folder / "model.safetensors")
    known = Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab()
    pairs = [(i, known[token]) for token, i in words.get_vocab().items() if token in known]
    new_ids, old_ids = map(list, zip(*pairs, strict=True))
    config = json.loads((folder / "config.json").read_text())
    old, new = (
        cells_in_a_row(config["vision_config"]),
        cells_in_a_row(model.config.vision_config.to_dict()),
    )
    for name, parameter in model.named_parameters():
        layer = _LAYER.match(name)
        if parameter is model.get_input_embeddings().weight:
            parameter[new_ids] = trained[name][old_ids].float()
        elif layer and name not in trained:
            _let_pass(parameter, layer, trained)
        else:
            parameter.copy_(_refined(name, trained[name].float(), old, new))


def cells_in_a_row(vision: dict[str, Any]) -> int:
    """Cells in a row of the image tokens."""
    side = INPUT_SIZE
    for size, stride, padding in zip(
        vision["patch_size"], vision["patch_stride"], vision["patch_padding"], strict=True
    ):
        side = (side + 2 * padding - size) // stride + 1
    return side


def _let_pass(parameter: Tensor, layer: re.Match[str], trained: dict[str, Tensor]) -> None:
    """A new layer adds nothing to what it gets, and normalises it to the scale that it had."""
    if layer["part"].endswith(("out_proj.weight", "out_proj.bias", "fc2.weight", "fc2.bias")):
        parameter.zero_()
    elif "layer_norm" in layer["part"]:
        last = max(
            int(other["index"])
            for other in map(_LAYER.match, trained)
            if other and other["stack"] == layer["stack"]
        )
        norm = f"{layer['stack']}.{last}.final_layer_norm"
        weight, bias = trained[f"{norm}.weight"].float(), trained[f"{norm}.bias"].float()
        if layer["part"].endswith("weight"):
            parameter.fill_((weight.square().mean() + bias.var()).sqrt())
        else:
            parameter.fill_(bias.mean())


def _refined(name: str, tensor: Tensor, old: int, new: int) -> Tensor:
    """A tensor for ``new`` by ``new`` cells, from one for ``old`` by ``old``."""
    if old == new:
        return tensor
    if "image_position_embed" in name:
        rows = functional.interpolate(tensor[:old].T[None], size=new, mode="linear")[0].T
        return torch.cat([rows, tensor[new:]])
    if "channel_attn.qkv" in name:
        # a sum over all positions, divided by the root of their number, grows by that root
        query, key, value = tensor.chunk(3)
        return torch.cat([query * (old / new), key, value])
    if name.endswith("encoder.embed_positions.weight"):
        first = _FIRST_POSITION + 1  # after the pooled token
        square = tensor[first : first + old**2].T.reshape(1, -1, old, old)
        finer = functional.interpolate(square, size=(new, new), mode="bilinear")[0]
        # the prompt's positions move behind the cells; the last ones of the table fall off
        moved = torch.cat([tensor[:first], finer.flatten(1).T, tensor[first + old**2 :]])
        return moved[: len(tensor)]
    return tensor
