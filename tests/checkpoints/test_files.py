"""Which files of a folder hold tensors."""

import json
from pathlib import Path

import pytest
from small_models import copy_of_shapes

from florence_annotate.checkpoints import checkpoint as checkpoints
from florence_annotate.checkpoints.files import weight_files
from florence_annotate.errors import CheckpointError


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    folder = copy_of_shapes(tmp_path)
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {"a": "model-1.safetensors", "b": "../elsewhere.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match="not beside it"):
        checkpoints.find(str(folder))


def test_safetensors_come_before_pytorchs_files(tmp_path: Path) -> None:
    assert weight_files(tmp_path) == []
    (tmp_path / "pytorch_model.bin").touch()
    assert weight_files(tmp_path) == [tmp_path / "pytorch_model.bin"]
    (tmp_path / "model.safetensors").touch()
    assert weight_files(tmp_path) == [tmp_path / "model.safetensors"]


@pytest.mark.parametrize("single", ["model.safetensors", "pytorch_model.bin"])
def test_an_index_that_was_left_beside_a_whole_file_is_not_read(
    single: str, tmp_path: Path
) -> None:
    (tmp_path / single).touch()
    index = {"weight_map": {"a": f"gone-1{Path(single).suffix}"}}
    (tmp_path / f"{single}.index.json").write_text(json.dumps(index))
    assert weight_files(tmp_path) == [tmp_path / single]


def test_an_index_that_names_nothing_for_a_tensor_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"a": ""}}')
    with pytest.raises(CheckpointError, match="names no file for some of its tensors"):
        weight_files(tmp_path)


def test_shards_are_named_by_their_index_each_once(tmp_path: Path) -> None:
    names = ["model-1.safetensors", "model-2.safetensors"]
    for name in names:
        (tmp_path / name).touch()
    index = {"weight_map": {"a": names[1], "b": names[0], "c": names[1]}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert weight_files(tmp_path) == [tmp_path / name for name in names]


@pytest.mark.parametrize("content", ["{", "[]", '{"weight_map": 1}', "{}", "[" * 100_000])
def test_an_index_that_cannot_be_read_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(content)
    with pytest.raises(CheckpointError, match="can't read the index"):
        weight_files(tmp_path)
