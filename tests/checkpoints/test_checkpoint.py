"""Finding a checkpoint, and refusing what is none."""

import json
from pathlib import Path

import pytest
from small_models import copy_of_shapes, write_original

from florence_annotate.checkpoints import checkpoint as checkpoints
from florence_annotate.checkpoints.known import hub_id
from florence_annotate.errors import CheckpointError
from florence_annotate.shapes import CHECKPOINT


@pytest.fixture
def original(tmp_path: Path) -> Path:
    return write_original(tmp_path / "original")


def test_generation_settings_of_old_configurations_count(original: Path) -> None:
    config = json.loads((original / "config.json").read_text())
    config["text_config"] |= {"num_beams": 3, "no_repeat_ngram_size": 3}
    (original / "config.json").write_text(json.dumps(config))
    found = checkpoints.find(str(original))
    assert (found.generation.num_beams, found.generation.no_repeat_ngram) == (3, 3)


def refused(folder: Path, match: str) -> None:
    with pytest.raises(CheckpointError, match=match) as error:
        checkpoints.find(str(folder))
    assert "\n" not in str(error.value)


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


def test_an_adapter_beside_the_configuration_of_its_model_is_called_an_adapter(
    tmp_path: Path,
) -> None:
    folder = copy_of_shapes(tmp_path)
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text("{}")
    refused(folder, "is a LoRA adapter and no whole checkpoint: give it with --adapter")


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere", "nonsense", "a/b/c"])
def test_a_checkpoint_that_cannot_exist_is_refused_without_asking_the_hub(name: str) -> None:
    with pytest.raises(CheckpointError, match="there"):
        checkpoints.find(name)


def test_public_checkpoints_are_known_to_say_cocos_names() -> None:
    labels = checkpoints._known_labels(Path("nowhere"), hub_id("large"))
    assert len(labels) == 80
    assert {"person", "toothbrush"} <= labels


def test_the_embedded_checkpoint_is_found_by_its_name() -> None:
    found = checkpoints.find("shapes")
    assert found.is_embedded and found.folder == CHECKPOINT and found.revision is None
    assert found.image_size == 96 and "star" in found.known_labels
    assert (found.generation.num_beams, found.generation.no_repeat_ngram) == (1, 0)
    assert found.adapter is found.adapter_hash() is None


def test_a_checkpoint_is_the_same_wherever_it_lies_until_a_file_changes(tmp_path: Path) -> None:
    folder = copy_of_shapes(tmp_path)
    found = checkpoints.find(str(folder))
    assert not found.is_embedded
    assert found.weights_hash() == checkpoints.find("shapes").weights_hash()
    (folder / "labels.txt").write_text("car\n")  # tells about the weights, and is none of them
    assert found.weights_hash() == checkpoints.find("shapes").weights_hash()
    (folder / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes() + b" ")
    assert found.weights_hash() != checkpoints.find("shapes").weights_hash()


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"size": {"height": 96, "width": 64}}, "makes images of 64x96 pixels"),
        ({"size": 0}, "makes images of 0x0 pixels"),
        ({"size": None}, "size in its preprocessor_config.json is None"),
        ({"size": "96"}, "size in its .* is '96'"),
        ({"image_mean": [0.5]}, r"image_mean in its .* is \[0.5\]"),
        ({"image_std": ["a", "b", "c"]}, "image_std in its"),
        ({"size": True}, "size in its .* is True"),
        ({"image_mean": [123.7, 116.3, 103.5]}, r"image_mean in its preprocessor_config.json is"),
        ({"image_mean": [-0.1, 0.5, 0.5]}, "image_mean in its"),
        ({"image_mean": [float("nan"), 0.5, 0.5]}, r"image_mean in its .* is \[nan"),
        ({"image_mean": [10**400, 0, 0]}, "image_mean in its"),
        ({"rescale_factor": 10**400}, "rescale_factor = 1000"),
        ({"image_std": [0.2, 0.0, 0.2]}, "image_std in its preprocessor_config.json is"),
        ({"image_std": [58.4, 57.1, 57.4]}, r"image_std in its .* is \[58\.4"),
        ({"resample": 2}, "resample = 2, .* resample = 3 alone"),
        ({"do_normalize": False}, "do_normalize = False"),
        ({"do_center_crop": True}, "do_center_crop = True"),
        ({"rescale_factor": 1.0}, r"rescale_factor = 1\.0"),
    ],
)
def test_images_that_are_to_be_made_otherwise_than_florences_are_refused(
    settings: dict[str, object], match: str, tmp_path: Path
) -> None:
    folder = copy_of_shapes(tmp_path)
    file = folder / "preprocessor_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))
    refused(folder, match)


def test_images_are_made_as_published_where_a_key_says_nothing_else(tmp_path: Path) -> None:
    folder = copy_of_shapes(tmp_path)
    file = folder / "preprocessor_config.json"
    settings = json.loads(file.read_text())
    del settings["resample"], settings["rescale_factor"]
    file.write_text(json.dumps(settings | {"image_mean": [0, 0, 0], "image_std": [1, 1, 1]}))
    images = checkpoints.find(str(folder)).images
    assert (images.size, images.mean, images.std) == (96, (0.0,) * 3, (1.0,) * 3)


def test_an_image_processor_that_is_a_name_alone_is_refused(tmp_path: Path) -> None:
    folder = copy_of_shapes(tmp_path)
    (folder / "preprocessor_config.json").unlink()
    (folder / "processor_config.json").write_text('{"image_processor": "CLIP"}')
    refused(folder, "image_processor in its processor_config.json is 'CLIP', and no JSON object")


@pytest.mark.parametrize(
    ("part", "values", "said"),
    [
        ("text_config", {"max_position_embeddings": None}, "max_position_embeddings is None"),
        ("text_config", {"d_model": "128"}, "d_model is '128'"),
        ("vision_config", {"depths": 1}, "depths is 1"),
        ("vision_config", {"depths": [1, 1]}, "another number of stages than embed_dim"),
        ("vision_config", {"window_size": 0}, "window_size is 0"),
        ("vision_config", {"patch_stride": [3, 2, 0, 1]}, r"patch_stride is \[3, 2, 0, 1\]"),
        ("vision_config", {"patch_size": [7, 3, 3, True]}, "patch_size is"),
        ("vision_config", {"patch_padding": [3, 1, 1, -1]}, "patch_padding is"),
        ("vision_config", {"patch_prenorm": [0, 1, 1, 1]}, "patch_prenorm is"),
        ("vision_config", {"num_heads": [0, 2, 4, 4]}, "num_heads is"),
        ("vision_config", {"num_groups": [1, 2, 4, 0]}, "num_groups is"),
        ("vision_config", {"depths": [1, 1, 0, 1]}, "depths is"),
        ("vision_config", {"embed_dim": [32, 64, 128, 0]}, "embed_dim is"),
        ("vision_config", {"num_heads": [1, 2, 3, 4]}, "embed_dim is 128, .* of num_heads 3, in"),
        ("vision_config", {"num_groups": [1, 2, 5, 4]}, "embed_dim is 128, .* of num_groups 5"),
        ("text_config", {"encoder_attention_heads": 5}, "no multiple of encoder_attention_heads 5"),
        ("text_config", {"decoder_attention_heads": 3}, "no multiple of decoder_attention_heads 3"),
        ("text_config", {"activation_function": "geluu"}, "activation_function is 'geluu'"),
        ("vision_config", {"activation_function": ["gelu"]}, "activation_function is"),
        ("vision_config", {"mlp_ratio": "4"}, "mlp_ratio is '4'"),
        ("vision_config", {"mlp_ratio": float("nan")}, "mlp_ratio is nan"),
        ("text_config", {"scale_embedding": 1}, "scale_embedding is 1"),
        ("vision_config", {"qkv_bias": "yes"}, "qkv_bias is 'yes'"),
        ("vision_config", {"in_channels": 4}, "in_channels is 4"),
        (None, {"image_token_id": "<image>"}, "image_token_id is '<image>'"),
        ("text_config", None, "text_config in its config.json is 'bart', and no JSON object"),
        ("text_config", {"eos_token_id": 999_999}, "eos_token_id in its text_config is 999999"),
    ],
)
def test_a_configuration_with_nonsense_in_it_is_refused_by_the_field(
    part: str | None, values: dict[str, object] | None, said: str, tmp_path: Path
) -> None:
    """None: the field is one of the whole."""
    folder = copy_of_shapes(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    if part is None:
        config |= values
    else:
        config[part] = "bart" if values is None else config[part] | values
    (folder / "config.json").write_text(json.dumps(config))
    refused(folder, said)


def test_a_list_that_is_missing_has_the_usual_number_of_stages(tmp_path: Path) -> None:
    folder = copy_of_shapes(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    config["vision_config"] = {"patch_size": [7, 3, 3, 3, 3]}
    (folder / "config.json").write_text(json.dumps(config))
    refused(folder, r"patch_size is \[7, 3, 3, 3, 3\], and embed_dim is missing")


def test_labels_that_are_no_utf8_are_read_as_far_as_they_can_be(tmp_path: Path) -> None:
    folder = copy_of_shapes(tmp_path)
    (folder / "labels.txt").write_bytes(b"star\ncaf\xe9\n")
    assert "star" in checkpoints.find(str(folder)).known_labels


@pytest.mark.parametrize("content", ["{}", '{"added_tokens": [], "model": {"vocab": [["a", 1]]}}'])
def test_a_tokenizer_of_another_kind_is_refused(content: str, tmp_path: Path) -> None:
    folder = copy_of_shapes(tmp_path)
    (folder / "tokenizer.json").write_text(content)
    refused(folder, r"tokenizer\.json is no byte-level BPE")


def test_a_revision_is_for_the_hub_alone(tmp_path: Path) -> None:
    for name in ("shapes", str(tmp_path)):
        with pytest.raises(CheckpointError, match="leave it out"):
            checkpoints.find(name, "main")


def test_a_file_is_no_checkpoint() -> None:
    with pytest.raises(CheckpointError, match="is a file: give the folder"):
        checkpoints.find(str(CHECKPOINT / "config.json"))
