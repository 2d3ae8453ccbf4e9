"""The loss of text and of locations."""

import pytest
import torch

from training.losses import sequence_loss, soft_bins


def test_soft_bins_are_distributions_around_the_true_bin() -> None:
    soft = soft_bins(4.0)
    assert torch.allclose(soft.sum(1), torch.ones(1000))
    assert (soft.argmax(1) == torch.arange(1000)).all()


def test_a_perfect_prediction_costs_nothing() -> None:
    soft = soft_bins(3.0)
    logits = torch.full((2, 1010), -50.0)
    logits[0, 2] = 50.0
    logits[1, 5:1005] = soft[70].clamp_min(1e-9).log()
    text, location = sequence_loss(logits, torch.tensor([2, 75]), 5, soft)
    assert text.item() == pytest.approx(0, abs=1e-4)
    assert location.item() == pytest.approx(0, abs=1e-4)


def test_answers_without_locations_have_no_location_loss() -> None:
    text, location = sequence_loss(torch.zeros(3, 1010), torch.tensor([0, 2, 2]), 5, soft_bins(3.0))
    assert text.item() > 0 and location.item() == 0
