"""The loss of an answer's tokens.

To cross-entropy, a location token is one of a thousand unrelated words. Here the wanted
distribution is a Gaussian over neighbouring bins, so that a near miss costs less than a far one.
"""

import torch
from torch import Tensor

from florence_annotate.tasks import LOCATION_BINS


def soft_bins(sigma: float) -> Tensor:
    """The wanted distribution for each true bin, shape (1000, 1000); `sigma` is in bins."""
    bins = torch.arange(LOCATION_BINS, dtype=torch.float32)
    return torch.softmax(-((bins[:, None] - bins[None, :]) ** 2) / (2 * sigma**2), dim=1)


def sequence_loss(
    logits: Tensor, labels: Tensor, first_location_id: int, location_targets: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean loss of the text tokens, and of the location tokens; 0 is perfect for both.

    `logits`, shape (tokens, vocabulary), and `labels`, the true ids, are of the tokens that count,
    without padding. `location_targets` is what `soft_bins` gave.
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
