"""The files of a checkpoint's folder: JSON, and those that hold tensors, one or shards."""

from pathlib import Path
from typing import Any

from florence_annotate.errors import CheckpointError
from florence_annotate.user_files import UnreadableFileError, parse_json, read_text

_SINGLE_FILES = ("model.safetensors", "pytorch_model.bin")
_LARGEST = 64 << 20
"""Bytes of a file that is no tensors; Florence-2's tokenizer.json has 4 MiB."""
_POINTER = "version https://git-lfs.github.com/spec/"
"""How the text begins that a plain `git clone` leaves in place of a large file.
Source: github.com/git-lfs/git-lfs, docs/spec.md."""


def weight_files(folder: Path) -> list[Path]:
    """The files that hold a checkpoint's tensors; none where there are none.

    Where there are both, safetensors are taken and PyTorch's files left alone.

    Raises CheckpointError for an index that can't be read, or names a file that is not there, and
    for a Git LFS pointer in the place of a file.
    """
    for single in _SINGLE_FILES:
        # a whole file counts, as in transformers: an index beside it is left from earlier shards
        if (folder / single).is_file():
            return refuse_pointers([folder / single])
        index = folder / f"{single}.index.json"
        if index.is_file():
            return refuse_pointers(_shards(index))
    return []


def refuse_pointers(files: list[Path]) -> list[Path]:
    """The same files; raises CheckpointError where one is a Git LFS pointer to it."""
    for path in files:
        with path.open("rb") as file:
            if file.read(len(_POINTER)) == _POINTER.encode():
                raise CheckpointError(_say_pointer(path))
    return files


def _say_pointer(path: Path) -> str:
    return (
        f"{path} is a Git LFS pointer and not the file itself: run 'git lfs pull' in "
        f"{path.parent}, or download the file"
    )


def _shards(index: Path) -> list[Path]:
    try:
        content = parse_json(read_text(index, _LARGEST))
        names = {str(name) for name in content["weight_map"].values()}
    except (UnreadableFileError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"can't read the index {index}: {error}") from error
    for name in names:
        if not name:
            raise CheckpointError(
                f"{index} names no file for some of its tensors: download it again"
            )
        if Path(name).name != name or not (index.parent / name).is_file():
            raise CheckpointError(
                f"{index} names {name!r}, which is not beside it: is the download complete?"
            )
    return [index.parent / name for name in sorted(names)]


def load_json(path: Path, name: str) -> dict[str, Any]:
    """A JSON object of the checkpoint `name`; of a key that is there twice, the last value.

    Raises CheckpointError for what is none.
    """
    try:
        text = read_text(path, _LARGEST)
        if text.startswith(_POINTER):
            raise CheckpointError(f"{name}: {_say_pointer(path)}")
        content = parse_json(text)
    except UnreadableFileError as error:
        if error.kind == "missing":
            raise CheckpointError(
                f"{name} is no checkpoint: {path.name} is missing in {path.parent}"
            ) from error
        raise CheckpointError(
            f"{name}: can't read {path.name}: {error}; take it from the checkpoint that this one "
            "was made from"
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{name}: {path.name} holds no JSON object")
    return content
