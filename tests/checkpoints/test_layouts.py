"""Checkpoints in every layout that is read."""

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import annotate, tree
from small_models import ORIGINAL, original_layout, write_original

from florence_annotate.model.attention import attend_by
from florence_annotate.model.vision import VisionTower
from florence_annotate.model.weights import load_network


@pytest.fixture
def original(tmp_path: Path) -> Path:
    return write_original(tmp_path / "original")


def test_the_original_layout_gives_the_same_dataset(
    original: Path, scenes: Path, tmp_path: Path
) -> None:
    settings = ["--limit", 6, "--classes", "star,red cross"]
    assert annotate(scenes, tmp_path / "native", *settings).code == 0
    result = annotate(
        scenes, tmp_path / "other", *settings, "--model", original, "--dtype", "float32"
    )
    assert result.code == 0, result.err
    assert tree(tmp_path / "other") == tree(tmp_path / "native")


def test_features_and_logits_are_those_of_another_implementation(tmp_path: Path) -> None:
    network = load_network(original_layout(tmp_path), torch.float32)
    expected = {
        name: torch.from_numpy(value)
        for name, value in np.load(ORIGINAL / "expected.npz").items()
        if name != "generated"
    }
    tower = VisionTower(network, attend_by("sdpa"), (0.0,) * 3, (1.0,) * 3)
    with torch.inference_mode():
        features = tower(expected["pixel_values"] * 255)
        prompts = network.get_input_embeddings()(expected["input_ids"])
        logits = network.lm_head(
            network.model.language_model(
                inputs_embeds=torch.cat([features, prompts], 1),
                decoder_input_ids=expected["decoder_input_ids"],
            ).last_hidden_state
        )
    assert torch.allclose(features, expected["image_features"], atol=1e-4)
    assert torch.allclose(logits, expected["logits"], atol=1e-3)
    assert network.generation_config.num_beams == 3
    assert network.generation_config.forced_bos_token_id == 0
