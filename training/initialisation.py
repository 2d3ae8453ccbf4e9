"""Starting values and the location loss: what makes so small a model learn at all.

The library's default (normal, standard deviation 0.02) fits models that are loaded, not trained:
at this width the signal dies out before it reaches the decoder. And a location token is one of a
thousand unrelated words unless the start and the loss say that neighbouring bins are alike.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from florence_annotate.tasks import LOCATION_BINS

_EMBEDDING_STD = 0.09
_DEPTHWISE_STD = 0.15
_POSITION_STD = 1.0


@torch.no_grad()
def initialise(model: Any, first_location_id: int, generator: torch.Generator) -> None:
    """Set all weights of a Florence-2 model for training from nothing.

    Args:
        model: The whole model, input and output embeddings tied.
        first_location_id: The id of ``<loc_0>``.
        generator: Source of the random values.
    """
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
    # Last, and once: the encoder's, the decoder's and the output's embeddings are this one matrix.
    embeddings = model.get_input_embeddings().weight
    embeddings[first_location_id : first_location_id + LOCATION_BINS] = location_features(
        embeddings.shape[1]
    )


def location_features(width: int, scale: float = 0.12) -> Tensor:
    """Fourier features of the bins, ``(1000, width)``: near bins start as near vectors."""
    count = width // 2
    cycles = torch.logspace(math.log10(0.25), math.log10(40), count)
    place = (torch.arange(LOCATION_BINS) + 0.5) / LOCATION_BINS
    angles = 2 * math.pi * place[:, None] * cycles[None, :]
    return scale * torch.cat([angles.sin(), angles.cos()], dim=1)


def soft_bins(sigma: float) -> Tensor:
    """A target distribution for each true bin, ``(1000, 1000)``: a Gaussian over its neighbours."""
    bins = torch.arange(LOCATION_BINS, dtype=torch.float32)
    return torch.softmax(-((bins[:, None] - bins[None, :]) ** 2) / (2 * sigma**2), dim=1)


def sequence_loss(
    logits: Tensor, labels: Tensor, first_location_id: int, location_targets: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy of the text tokens and of the location tokens.

    Args:
        logits: ``(N, V)``, of the positions that count only.
        labels: ``(N,)``, the true ids.
        first_location_id: The id of ``<loc_0>``.
        location_targets: What :func:`soft_bins` gave.

    Returns:
        Text loss and location loss; the latter is a divergence, so 0 is perfect for both.
    """
    log_probabilities = torch.log_softmax(logits.float(), dim=-1)
    bins = labels - first_location_id
    is_location = (bins >= 0) & (bins < LOCATION_BINS)
    text = log_probabilities[~is_location]
    text_loss = -text.gather(1, labels[~is_location, None]).mean()
    if not bool(is_location.any()):
        return text_loss, text_loss.new_zeros(())
    predicted = log_probabilities[is_location]
    predicted = predicted[:, first_location_id : first_location_id + LOCATION_BINS]
    wanted = location_targets[bins[is_location]]
    divergence = (wanted * (wanted.clamp_min(1e-9).log() - predicted)).sum(1).mean()
    return text_loss, divergence
