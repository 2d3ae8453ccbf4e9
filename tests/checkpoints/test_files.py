"""Which files of a folder hold tensors."""

import json
from pathlib import Path

import pytest
from small_models import copy_of_shapes

from florence_annotate.checkpoints import checkpoint as checkpoints
from florence_annotate.errors import CheckpointError


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    folder = copy_of_shapes(tmp_path)
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {"a": "model-1.safetensors", "b": "../elsewhere.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match="not beside it"):
        checkpoints.find(str(folder))
