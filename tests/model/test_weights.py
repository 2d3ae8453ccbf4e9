"""A checkpoint's tensors, loaded whole or refused by name."""

import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_models import copy_of_shapes, write_original

from florence_annotate.checkpoints import checkpoint as checkpoints
from florence_annotate.errors import CheckpointError
from florence_annotate.model.florence import Florence
from florence_annotate.model.weights import load_network

CPU = torch.device("cpu")


def refused(folder: Path, match: str) -> None:
    """In one line, which never advises to run a checkpoint's code."""
    with pytest.raises(CheckpointError, match=match) as error:
        Florence(checkpoints.find(str(folder)), CPU, torch.float32, "sdpa")
    assert "\n" not in str(error.value) and "weights_only" not in str(error.value)


def test_a_missing_tensor_is_refused_by_name(tmp_path: Path) -> None:
    folder = copy_of_shapes(tmp_path)
    tensors = load_file(folder / "model.safetensors")
    gone = next(name for name in tensors if name.endswith("fc1.weight"))
    del tensors[gone]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    refused(folder, gone)


def test_an_unexpected_tensor_is_refused_by_name(tmp_path: Path) -> None:
    folder = copy_of_shapes(tmp_path)
    tensors = load_file(folder / "model.safetensors")
    tensors["adapter.weight"] = torch.zeros(1)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    refused(folder, "adapter.weight")


def test_a_tensor_of_another_shape_is_refused_by_name(tmp_path: Path) -> None:
    folder = copy_of_shapes(tmp_path)
    tensors = load_file(folder / "model.safetensors")
    name = next(name for name in tensors if name.endswith("fc1.weight"))
    tensors[name] = torch.zeros(2, 2)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    refused(folder, name)


def test_truncated_weights_are_refused(tmp_path: Path) -> None:
    folder = copy_of_shapes(tmp_path)
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])
    refused(folder, "is the download complete")


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
@pytest.mark.parametrize("shards", [1, 3])
def test_every_kind_of_file_is_read(tmp_path: Path, suffix: str, shards: int) -> None:
    folder = copy_of_shapes(tmp_path)
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    stem = "model" if suffix == ".safetensors" else "pytorch_model"
    names = sorted(tensors)
    weight_map = {}
    for shard in range(shards):
        file = f"{stem}-{shard}{suffix}" if shards > 1 else f"{stem}{suffix}"
        part = {name: tensors[name] for name in names[shard::shards]}
        weight_map |= dict.fromkeys(part, file)
        if suffix == ".safetensors":
            save_file(part, folder / file, {"format": "pt"})
        else:
            torch.save(part, folder / file)
    if shards > 1:
        index = folder / f"{stem}{suffix}.index.json"
        index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    network = load_network(checkpoints.find(str(folder)), torch.float16)
    for name, tensor in tensors.items():
        assert torch.equal(network.state_dict()[name], tensor)


def test_an_output_matrix_of_its_own_is_kept_apart_from_the_embedding(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = write_original(tmp_path / "original")
    tensors = load_file(folder / "model.safetensors")
    tensors["language_model.lm_head.weight"] *= 2
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    network = load_network(checkpoints.find(str(folder)), torch.float32)
    assert torch.equal(network.lm_head.weight, 2 * network.get_input_embeddings().weight)
    assert capfd.readouterr().err == ""


class Harmful:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_code_in_a_pytorch_file_is_not_run(tmp_path: Path) -> None:
    folder = copy_of_shapes(tmp_path)
    (folder / "model.safetensors").unlink()
    mark = tmp_path / "mark"
    torch.save({"weight": Harmful(mark)}, folder / "pytorch_model.bin")
    refused(folder, r"would run code when it is loaded \(getattr\).*get the safetensors")
    assert not mark.exists()


@pytest.mark.parametrize(
    ("held", "match"),
    [
        ([torch.zeros(1)], "holds a list, and no tensors"),
        ({"state_dict": {"a": torch.zeros(1)}, "epoch": 3}, "under the key 'state_dict'"),
        ({"a": 3}, "holds 'a', which is no tensor but a int"),
        ({"module.a": torch.zeros(1)}, "begin with 'module.': save it again without the wrapper"),
        ({"base_model.model.a.weight": torch.zeros(1)}, "begin with 'base_model.model.'"),
    ],
    ids=["list", "nested", "number", "module", "base_model"],
)
def test_a_pytorch_file_of_something_else_is_refused_by_what_it_holds(
    held: Any, match: str, tmp_path: Path
) -> None:
    folder = copy_of_shapes(tmp_path)
    (folder / "model.safetensors").unlink()
    torch.save(held, folder / "pytorch_model.bin")
    refused(folder, match)


def test_a_program_in_the_place_of_weights_is_not_run(tmp_path: Path) -> None:
    folder = copy_of_shapes(tmp_path)
    (folder / "model.safetensors").unlink()
    # TorchScript: an archive with a member of this name
    with zipfile.ZipFile(folder / "pytorch_model.bin", "w") as archive:
        archive.writestr("pytorch_model/constants.pkl", pickle.dumps(()))
        archive.writestr("pytorch_model/version", "3\n")
    refused(folder, r"would run code when it is loaded \(TorchScript\)")


@pytest.mark.parametrize("content", [b"", b"nonsense" * 99])
def test_a_pytorch_file_that_is_none_is_refused(content: bytes, tmp_path: Path) -> None:
    folder = copy_of_shapes(tmp_path)
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(content)
    refused(folder, r"can't read .*pytorch_model\.bin.*is the download complete")


@pytest.mark.parametrize("kind", [torch.int8, torch.uint8, torch.bool])
def test_weights_of_whole_numbers_are_refused_as_quantized(
    kind: torch.dtype, tmp_path: Path
) -> None:
    folder = copy_of_shapes(tmp_path)
    tensors = load_file(folder / "model.safetensors")
    name = next(name for name in tensors if name.endswith("fc1.weight"))
    tensors[name] = tensors[name].to(kind)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    refused(folder, rf"{name} is of {str(kind)[6:]}, so its weights are quantized")


def test_a_network_that_transformers_cannot_make_is_refused_by_its_configuration(
    tmp_path: Path,
) -> None:
    folder = copy_of_shapes(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    # transformers' own number of heads, 16, where it is missing
    config["text_config"]["d_model"] = 120
    del config["text_config"]["encoder_attention_heads"]
    (folder / "config.json").write_text(json.dumps(config))
    refused(folder, r"can't make the network of .*take config\.json from the checkpoint")
