"""Checkpoints in every layout that is read."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import annotate, tree
from safetensors.torch import load_file
from small_models import ORIGINAL, original_layout, write_original

from benchmarks.original_layout import original_name
from florence_annotate.checkpoints import checkpoint as checkpoints
from florence_annotate.checkpoints.layouts import LAYOUTS, NATIVE, layout_of, native_names
from florence_annotate.checkpoints.layouts import ORIGINAL as ORIGINAL_LAYOUT
from florence_annotate.errors import CheckpointError
from florence_annotate.model.attention import attend_by
from florence_annotate.model.vision import VisionTower
from florence_annotate.model.weights import load_network
from florence_annotate.shapes import CHECKPOINT


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


def test_a_layout_is_recognised_by_its_configuration(original: Path) -> None:
    native, other = (
        json.loads((folder / "config.json").read_text()) for folder in (CHECKPOINT, original)
    )
    assert (layout_of(native), layout_of(other)) == (NATIVE, ORIGINAL_LAYOUT)
    assert layout_of({"model_type": "bart"}) is layout_of({}) is None


def test_every_layout_reads_natively_as_the_native_one_does(original: Path) -> None:
    native = json.loads((CHECKPOINT / "config.json").read_text())
    described = checkpoints.find(str(original)).config
    read = checkpoints.find("shapes").config
    for part in ("text_config", "vision_config"):
        assert described[part].items() <= read[part].items() <= native[part].items()
    assert described["image_token_id"] == native["text_config"]["vocab_size"]
    assert read["image_token_id"] == native["image_token_id"]


def test_names_of_tensors_come_back_whatever_the_layout() -> None:
    for name in load_file(CHECKPOINT / "model.safetensors"):
        assert NATIVE.native_name(name) == name
        assert ORIGINAL_LAYOUT.native_name(original_name(name)) == name
        assert name in native_names(original_name(name))
    assert len(native_names("anything")) == len(LAYOUTS)


def test_a_matrix_that_is_stored_the_other_way_round_is_turned() -> None:
    tensors = {
        "image_projection": torch.arange(6.0).view(2, 3),
        "language_model.final_logits_bias": torch.zeros(1, 4),
    }
    ((name, tensor),) = ORIGINAL_LAYOUT.native_tensors(tensors).items()
    assert name == "model.multi_modal_projector.image_projection.weight"
    assert torch.equal(tensor, tensors["image_projection"].T)


def test_a_configuration_that_lacks_a_field_is_refused(original: Path) -> None:
    config = json.loads((original / "config.json").read_text())
    del config["vision_config"]["depths"]
    (original / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="lacks 'depths'"):
        checkpoints.find(str(original))
