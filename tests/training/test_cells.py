"""The loss on the image features."""

import torch
from known_truth import EXIT, SCENE

from training.cells import CellHead
from training.truth import Truth


def test_images_with_and_without_objects() -> None:
    head = CellHead(128)
    tokens = torch.zeros(2, 65, 128)
    assert head.loss(tokens, [SCENE, Truth()], [True, True]).item() > 0
    assert torch.isfinite(head.loss(tokens, [Truth(), Truth()], [True, True]))


def test_words_that_cannot_be_read_teach_nothing() -> None:
    head = CellHead(128)
    only_words = [Truth(words=(EXIT,))]
    legible, mirrored_one = (
        head.loss(torch.zeros(1, 65, 128), only_words, [can_be_read]).item()
        for can_be_read in (True, False)
    )
    assert legible > mirrored_one
