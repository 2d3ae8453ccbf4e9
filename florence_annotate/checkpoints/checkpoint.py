"""Finds a checkpoint, and refuses early what is no Florence-2 or lacks files.

Which layouts are read is the table in `checkpoints.layouts`.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

from florence_annotate.checkpoints import adapter as adapters
from florence_annotate.checkpoints import hub
from florence_annotate.checkpoints.files import load_json, weight_files
from florence_annotate.checkpoints.generation_settings import (
    GenerationSettings,
    read_generation_settings,
)
from florence_annotate.checkpoints.image_settings import ImageSettings, read_image_settings
from florence_annotate.checkpoints.known import KNOWN, ORIGINALS, SHAPES, hub_id
from florence_annotate.checkpoints.layouts import (
    NATIVE,
    ORIGINAL,
    Layout,
    foreign_part,
    layout_of,
    wrong_field,
)
from florence_annotate.errors import CheckpointError
from florence_annotate.shapes import CHECKPOINT as SHAPES_FOLDER
from florence_annotate.user_files import SMALL, UnreadableFileError, read_bytes

_DESCRIPTIONS = (
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A folder that looks like a Florence-2; its weights have not been read yet."""

    name: str
    """Its name for people: a hub id, `shapes`, or the folder."""
    folder: Path
    revision: str | None
    """The commit of the repository on the hub; None for a folder."""
    images: ImageSettings
    """How its input is made."""
    known_labels: frozenset[str]
    """The labels that its `<OD>` is known to say; empty where they are not known."""
    max_new_tokens: int
    """The longest answer that its decoder has positions for."""
    generation: GenerationSettings
    """How it would have its answers written."""
    layout: Layout = NATIVE
    config: Mapping[str, Any] = field(default_factory=dict)
    """Its configuration, as it reads in the native layout."""
    adapter: Path | None = None
    """The folder of a LoRA adapter, to be merged when the weights are loaded."""

    @property
    def image_size(self) -> int:
        """Side of the square input, in pixels."""
        return self.images.size

    @property
    def is_embedded(self) -> bool:
        return self.name == SHAPES

    def weights_hash(self) -> str:
        """SHA-256, in hexadecimal, over the files of weights, tokenizer and configurations."""
        described = [self.folder / name for name in _DESCRIPTIONS]
        return _hash([*described, *weight_files(self.folder)])

    def adapter_hash(self) -> str | None:
        """SHA-256, in hexadecimal, over the adapter's files; None without an adapter."""
        return _hash(adapters.files(self.adapter)) if self.adapter else None


def _hash(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(files):
        if path.is_file():
            digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()


def find(
    name: str,
    revision: str | None = None,
    *,
    adapter: str | None = None,
    download: bool = True,
) -> Checkpoint:
    """The checkpoint of a folder, a short name or a hub id; `shapes` is the embedded one.

    `revision` is a branch, tag or commit on the hub; `adapter` a folder or a hub id. Without
    `download` nothing is fetched: a hub id is looked for in the hub's local cache alone. Raises
    CheckpointError for what is not there, can't be fetched, or is no Florence-2.
    """
    found = _find(name, revision, download)
    if adapter is None:
        return found
    return replace(found, adapter=_find_adapter(adapter, download))


def _find_adapter(name: str, download: bool) -> Path:
    folder = Path(name).expanduser()
    if not folder.is_dir():
        if name.startswith((".", "/", "~")) or name.count("/") != 1:
            raise CheckpointError(f"the adapter folder {name} is not there: check the spelling")
        folder = hub.fetch(name, None, download)
    adapters.refuse_unreadable(folder)
    return folder


def _find(name: str, revision: str | None, download: bool) -> Checkpoint:
    folder = Path(name).expanduser()
    if revision is not None and (name == SHAPES or folder.is_dir()):
        raise CheckpointError(
            f"--revision is that of a checkpoint on the hub, and {name} is a folder: leave it out"
        )
    if name == SHAPES:
        return _inspect(SHAPES, SHAPES_FOLDER, None)
    if folder.is_dir():
        return _inspect(str(folder), folder, None)
    if folder.exists():
        raise CheckpointError(f"{name} is a file: give the folder of the checkpoint that holds it")
    if name.startswith((".", "/", "~")):
        raise CheckpointError(f"the checkpoint folder {name} is not there: check the spelling")
    repository = hub_id(name)
    if repository.count("/") != 1:
        raise CheckpointError(
            f"there is no checkpoint {name!r}: give a folder, a hub id such as "
            f"{hub_id('base-ft')}, or one of {', '.join(KNOWN)} ('florence-annotate models' tells "
            "about them)"
        )
    folder = hub.fetch(repository, revision, download)
    return _inspect(repository, folder, folder.name)


def _inspect(name: str, folder: Path, revision: str | None) -> Checkpoint:
    is_adapter = (folder / adapters.CONFIG).exists()
    # some trainers write the configuration of the whole model beside an adapter
    if is_adapter and not ((folder / "config.json").exists() and weight_files(folder)):
        raise CheckpointError(
            f"{name} is a LoRA adapter and no whole checkpoint: give it with --adapter, and the "
            "checkpoint that it was made for with --model"
        )
    config = load_json(folder / "config.json", name)
    layout, native = _understand(config, name)
    if not weight_files(folder):
        raise CheckpointError(
            f"{name} holds no weights: neither model.safetensors nor pytorch_model.bin, nor an "
            "index of shards"
        )
    ids = _tokenizer_ids(folder, name, layout)
    return Checkpoint(
        name,
        folder,
        revision,
        read_image_settings(folder, name),
        _known_labels(folder, name),
        native["text_config"].get("max_position_embeddings", 1024),
        read_generation_settings(folder, config, ids, native["text_config"]["vocab_size"], name),
        layout,
        native,
    )


def _understand(config: Mapping[str, Any], name: str) -> tuple[Layout, dict[str, Any]]:
    """The layout of a checkpoint, and its configuration as it reads in the native one."""
    try:
        layout = layout_of(config)
        problem = foreign_part(config) if layout else None
        native = layout.native_config(config) if layout and not problem else {}
    except (KeyError, TypeError) as error:
        raise CheckpointError(
            f"can't load {name}: its config.json lacks {error}: take it from the checkpoint that "
            "this one was made from"
        ) from error
    if layout is None:
        raise CheckpointError(
            f"{name} is no Florence-2: its config.json says model_type = "
            f"{config.get('model_type')!r}; give a Florence-2 checkpoint, such as base-ft"
        )
    if problem:
        raise CheckpointError(f"{name} can't be read: {problem}")
    if wrong := wrong_field(native):
        raise CheckpointError(
            f"{name} can't be read: {wrong} in its config.json: take it from the checkpoint that "
            "this one was made from"
        )
    return layout, native


_TOKENIZER = "tokenizer.json"


def _tokenizer_ids(folder: Path, name: str, layout: Layout) -> Mapping[str, int]:
    """Token → id, of the tokens that the tokenizer's file spells out.

    Raises CheckpointError where there is none, or no such file.
    """
    if not (folder / _TOKENIZER).exists():
        public = KNOWN["base"].original if layout is ORIGINAL else KNOWN["base"].repository
        raise CheckpointError(
            f"{name} lacks {_TOKENIZER} in {folder}: copy it from the checkpoint that this one was "
            f"made from; that of {public} (huggingface.co/{public}) fits where no tokens were added"
        )
    content = load_json(folder / _TOKENIZER, name)
    try:
        added = {token["content"]: token["id"] for token in content["added_tokens"]}
        return {**content["model"]["vocab"], **added}
    except (KeyError, TypeError) as error:
        raise CheckpointError(
            f"{name}: its {_TOKENIZER} is no byte-level BPE as Florence-2's is "
            f"({type(error).__name__}: {error}): copy it from the checkpoint that this one was "
            "made from"
        ) from error


def _known_labels(folder: Path, name: str) -> frozenset[str]:
    if (folder / "labels.txt").is_file():
        try:
            text = read_bytes(folder / "labels.txt", SMALL).decode("utf-8", "replace")
        except UnreadableFileError as error:
            raise CheckpointError(f"{name}: can't read labels.txt: {error}") from error
    elif name in {*(known.repository for known in KNOWN.values()), *ORIGINALS}:
        text = resources.files(__package__).joinpath("coco-labels.txt").read_text("utf-8")
    else:
        return frozenset()
    return frozenset(line.strip() for line in text.splitlines() if line.strip())
