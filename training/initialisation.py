"""The weights that a run begins with: random ones, or those of a trained checkpoint.

The library's default (normal, standard deviation 0.02) is for models whose weights are loaded
afterwards: in one as narrow as this, the signal would die out before it reaches the decoder. And
location tokens of neighbouring bins begin alike here, which random vectors would not.
"""

import math
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn

from florence_annotate.errors import UsageError
from florence_annotate.tasks import LOCATION_BINS

_EMBEDDING_STD = 0.09
_DEPTHWISE_STD = 0.15
_POSITION_STD = 1.0


@torch.no_grad()
def initialise(model: Any, first_location_id: int, generator: torch.Generator) -> None:
    """Draw all weights of a `Florence2ForConditionalGeneration` whose embeddings are tied."""
    for name, module in model.named_modules():
        if name == "lm_head":  # tied to the embeddings below
            continue
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Conv2d):
            if module.groups > 1:
                nn.init.normal_(module.weight, std=_DEPTHWISE_STD, generator=generator)
            else:
                nn.init.kaiming_normal_(module.weight, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.LayerNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            std = _POSITION_STD if "image_position_embed" in name else _EMBEDDING_STD
            nn.init.normal_(module.weight, std=std, generator=generator)
    # last, and once: the embeddings of encoder, decoder and output are this one matrix
    embeddings = model.get_input_embeddings().weight
    embeddings[first_location_id : first_location_id + LOCATION_BINS] = location_features(
        embeddings.shape[1]
    )


def location_features(width: int, scale: float = 0.12) -> Tensor:
    """Fourier features of the bins, shape (1000, width): near bins begin as near vectors."""
    count = width // 2
    cycles = torch.logspace(math.log10(0.25), math.log10(40), count)
    place = (torch.arange(LOCATION_BINS) + 0.5) / LOCATION_BINS
    angles = 2 * math.pi * place[:, None] * cycles[None, :]
    return scale * torch.cat([angles.sin(), angles.cos()], dim=1)


@torch.no_grad()
def begin_with(model: Any, folder: Path, words: Tokenizer) -> None:
    """Overwrite a model's weights with those of a checkpoint, whose vocabulary may be another.

    `words` is the model's tokenizer. A token that the checkpoint does not know keeps the vector
    that it has. Raises UsageError for a checkpoint of another architecture.
    """
    trained = load_file(folder / "model.safetensors")
    known = Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab()
    pairs = [(i, known[token]) for token, i in words.get_vocab().items() if token in known]
    new_ids, old_ids = map(list, zip(*pairs, strict=True))
    embeddings = model.get_input_embeddings().weight
    for name, parameter in model.named_parameters():
        is_embeddings = parameter is embeddings
        wanted = parameter.shape[is_embeddings:]  # the vocabulary's size may differ
        if name not in trained or trained[name].shape[is_embeddings:] != wanted:
            raise UsageError(f"{folder} has another architecture than this model: see its {name}")
        if is_embeddings:
            parameter[new_ids] = trained[name][old_ids].float()
        else:
            parameter.copy_(trained[name])
