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
from florence_annotate.checkpoints.generation_settings import read_generation_settings
from florence_annotate.checkpoints.known import KNOWN, ORIGINALS, SHAPES, hub_id
from florence_annotate.checkpoints.layouts import NATIVE, Layout, layout_of
from florence_annotate.errors import CheckpointError
from florence_annotate.shapes import CHECKPOINT as SHAPES_FOLDER

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
    image_size: int
    """Side of the square input, in pixels."""
    image_mean: tuple[float, float, float]
    """Of red, green and blue, in [0, 1]; `image_std` likewise."""
    image_std: tuple[float, float, float]
    known_labels: frozenset[str]
    """The labels that its `<OD>` is known to say; empty where they are not known."""
    max_new_tokens: int
    """The longest answer that its decoder has positions for."""
    generation: Mapping[str, Any] = field(default_factory=dict)
    """Its own settings of text generation, by the names that transformers gives them."""
    layout: Layout = NATIVE
    config: Mapping[str, Any] = field(default_factory=dict)
    """Its configuration, as it reads in the native layout."""
    adapter: Path | None = None
    """The folder of a LoRA adapter, to be merged when the weights are loaded."""

    @property
    def is_embedded(self) -> bool:
        return self.name == SHAPES

    @property
    def num_beams(self) -> int:
        return self.generation.get("num_beams") or 1

    @property
    def no_repeat_ngram(self) -> int:
        return self.generation.get("no_repeat_ngram_size") or 0

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
    layout, config = _read_config(folder, name)
    text: Mapping[str, Any] = config.get("text_config") or {}
    if not weight_files(folder):
        raise CheckpointError(
            f"{name} holds no weights: neither model.safetensors nor pytorch_model.bin, nor an "
            "index of shards"
        )
    size, mean, std = _read_image_settings(folder, name)
    return Checkpoint(
        name,
        folder,
        revision,
        size,
        mean,
        std,
        _known_labels(folder, name),
        int(text.get("max_position_embeddings", 1024)),
        read_generation_settings(folder, text, name),
        layout,
        config,
    )


def _read_config(folder: Path, name: str) -> tuple[Layout, dict[str, Any]]:
    """The layout of a checkpoint, and its configuration as it reads in the native one."""
    config = load_json(folder / "config.json", name)
    try:
        layout = layout_of(config)
        native = layout.native_config(config) if layout else {}
    except (KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"can't load {name} ({type(error).__name__}: {error}): is the download complete?"
        ) from error
    if layout is None:
        raise CheckpointError(
            f"{name} is no Florence-2: its config.json says model_type = "
            f"{config.get('model_type')!r}; give a Florence-2 checkpoint, such as base-ft"
        )
    return layout, native


_Triple = tuple[float, float, float]


def _read_image_settings(folder: Path, name: str) -> tuple[int, _Triple, _Triple]:
    if (folder / "preprocessor_config.json").exists():
        settings = load_json(folder / "preprocessor_config.json", name)
    else:
        settings = load_json(folder / "processor_config.json", name).get("image_processor", {})
    try:
        height, width = settings["size"]["height"], settings["size"]["width"]
        mean, std = tuple(settings["image_mean"]), tuple(settings["image_std"])
    except (KeyError, TypeError) as error:
        raise CheckpointError(
            f"{name}: its preprocessor configuration lacks {error}: copy it from the checkpoint "
            "that this one was made from"
        ) from error
    if height != width or len(mean) != 3 or len(std) != 3:
        raise CheckpointError(f"{name}: its input is no square RGB image ({width}x{height})")
    return int(height), mean, std


def _known_labels(folder: Path, name: str) -> frozenset[str]:
    if (folder / "labels.txt").is_file():
        text = (folder / "labels.txt").read_text(encoding="utf-8")
    elif name in {*(known.repository for known in KNOWN.values()), *ORIGINALS}:
        text = resources.files(__package__).joinpath("coco-labels.txt").read_text("utf-8")
    else:
        return frozenset()
    return frozenset(line.strip() for line in text.splitlines() if line.strip())
