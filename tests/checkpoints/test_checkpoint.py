"""Finding a checkpoint, and refusing what is none."""

import json
from pathlib import Path

import pytest
from small_models import copy_of_shapes, write_original

from florence_annotate.checkpoints import checkpoint as checkpoints
from florence_annotate.checkpoints.known import hub_id
from florence_annotate.errors import CheckpointError


@pytest.fixture
def original(tmp_path: Path) -> Path:
    return write_original(tmp_path / "original")


def test_generation_settings_of_old_configurations_count(original: Path) -> None:
    config = json.loads((original / "config.json").read_text())
    config["text_config"] |= {"num_beams": 3, "no_repeat_ngram_size": 3}
    (original / "config.json").write_text(json.dumps(config))
    found = checkpoints.find(str(original))
    assert (found.num_beams, found.no_repeat_ngram) == (3, 3)


def refused(folder: Path, match: str) -> None:
    with pytest.raises(CheckpointError, match=match):
        checkpoints.find(str(folder))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"model_type": "bart"}, "is no Florence-2"),
        (None, "config.json is missing"),
    ],
)
def test_what_is_no_florence_is_refused(
    tmp_path: Path, change: dict[str, object] | None, match: str
) -> None:
    folder = copy_of_shapes(tmp_path)
    config = folder / "config.json"
    if change is None:
        config.unlink()
    else:
        config.write_text(json.dumps(json.loads(config.read_text()) | change))
    refused(folder, match)


def test_a_checkpoint_without_weights_is_refused(tmp_path: Path) -> None:
    folder = copy_of_shapes(tmp_path)
    (folder / "model.safetensors").rename(folder / "weights.onnx")
    refused(folder, "holds no weights")


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere", "nonsense", "a/b/c"])
def test_a_checkpoint_that_cannot_exist_is_refused_without_asking_the_hub(name: str) -> None:
    with pytest.raises(CheckpointError, match="there"):
        checkpoints.find(name)


def test_public_checkpoints_are_known_to_say_cocos_names() -> None:
    labels = checkpoints._known_labels(Path("nowhere"), hub_id("large"))
    assert len(labels) == 80
    assert {"person", "toothbrush"} <= labels
