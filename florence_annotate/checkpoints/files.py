"""Which files of a checkpoint's folder hold its tensors: one, or shards with an index."""

import json
from pathlib import Path
from typing import Any

from florence_annotate.errors import CheckpointError

_SINGLE_FILES = ("model.safetensors", "pytorch_model.bin")


def weight_files(folder: Path) -> list[Path]:
    """The files that hold a checkpoint's tensors; none where there are none.

    Where there are both, safetensors are taken and PyTorch's files left alone.

    Raises CheckpointError for an index that can't be read, or names a file that is not there.
    """
    for single in _SINGLE_FILES:
        index = folder / f"{single}.index.json"
        if index.is_file():
            return _shards(index)
        if (folder / single).is_file():
            return [folder / single]
    return []


def _shards(index: Path) -> list[Path]:
    try:
        names = {str(name) for name in json.loads(index.read_text("utf-8"))["weight_map"].values()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"can't read the index {index}: {error}") from error
    for name in names:
        if Path(name).name != name or not (index.parent / name).is_file():
            raise CheckpointError(
                f"{index} names {name}, which is not beside it: is the download complete?"
            )
    return [index.parent / name for name in sorted(names)]


def load_json(path: Path, name: str) -> dict[str, Any]:
    """A JSON object of the checkpoint `name`. Raises CheckpointError for what is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{name} is no checkpoint: {path.name} is missing in {path.parent}"
        ) from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{name}: can't read {path.name}: {error}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{name}: {path.name} holds no JSON object")
    return content
