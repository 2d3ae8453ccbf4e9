"""Finding a checkpoint, refusing what is no whole Florence-2, and loading it.

Weights are only ever read from safetensors, and no code of a checkpoint is ever run. The layout is
the one that transformers reads natively (`florence-community/…` on the hub).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from florence_annotate.errors import CheckpointError
from florence_annotate.shapes import CHECKPOINT as SHAPES_FOLDER

if TYPE_CHECKING:
    import torch

SHAPES = "shapes"

PUBLIC = {
    "base": "florence-community/Florence-2-base",
    "large": "florence-community/Florence-2-large",
    "base-ft": "florence-community/Florence-2-base-ft",
    "large-ft": "florence-community/Florence-2-large-ft",
}

_FILES = ("*.json", "*.txt", "*.safetensors")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A folder that looks like a Florence-2; nothing heavy has been read yet."""

    name: str
    """What identifies it to a reader: a hub id, `shapes`, or the folder."""
    folder: Path
    revision: str | None
    """Commit of the hub's repository."""
    image_size: int
    """Side of the square input, in pixels."""
    image_mean: tuple[float, float, float]
    image_std: tuple[float, float, float]
    known_labels: frozenset[str]
    """Labels that its `<OD>` is known to say; empty where nobody knows."""
    max_new_tokens: int
    """The longest answer that its decoder has positions for."""
    num_beams: int
    no_repeat_ngram: int
    """Its own settings of generation."""

    def weights_hash(self) -> str:
        """SHA-256 over the weights' files, their tokenizer and configuration."""
        digest = hashlib.sha256()
        for path in sorted(self.folder.iterdir()):
            if path.suffix == ".safetensors" or path.name in ("config.json", "tokenizer.json"):
                digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
                with path.open("rb") as file:
                    while block := file.read(1 << 20):
                        digest.update(block)
        return digest.hexdigest()


def hub_id(name: str) -> str:
    """The hub's name of a short name (`base-ft`, `florence-2-base-ft`); others as they are."""
    short = name.lower().removeprefix("florence-2-")
    return PUBLIC.get(short, name)


def find(name: str, revision: str | None = None, *, download: bool = True) -> Checkpoint:
    """The checkpoint of a folder, a short name or a hub id; `shapes` is the embedded one.

    Without `download` only folders and the local cache of the hub are looked at. Raises
    CheckpointError for what is not there, can't be had, or is no Florence-2.
    """
    if name == SHAPES:
        return _inspect(SHAPES, SHAPES_FOLDER, None)
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _inspect(str(folder), folder, None)
    if name.startswith((".", "/", "~")) or folder.exists():
        raise CheckpointError(f"the checkpoint folder {name} is not there: check the spelling")
    repository = hub_id(name)
    if repository.count("/") != 1:
        raise CheckpointError(
            f"there is no checkpoint {name!r}: give a folder, a hub id such as "
            f"{PUBLIC['base-ft']}, or one of {', '.join(PUBLIC)}, {SHAPES}"
        )
    folder = _fetch(repository, revision, download)
    return _inspect(repository, folder, folder.name)


def _fetch(repository: str, revision: str | None, download: bool) -> Path:
    """The snapshot's folder in the hub's cache; its name is the commit."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        return Path(
            snapshot_download(
                repository,
                revision=revision,
                allow_patterns=list(_FILES),
                local_files_only=not download,
            )
        )
    except HFValidationError as error:
        raise CheckpointError(f"{repository!r} is no valid name on the hub: {error}") from error
    except Exception as error:  # the hub's client raises many kinds: network, rights, absence
        where = f"{repository}@{revision}" if revision else repository
        summary = str(error).strip().splitlines()[0] if str(error).strip() else "no answer"
        raise CheckpointError(
            f"can't get the checkpoint {where} from the hub ({type(error).__name__}: {summary}). "
            "Where the hub can't be reached, copy its files here and give the folder: "
            "--model ./folder"
        ) from error


def _inspect(name: str, folder: Path, revision: str | None) -> Checkpoint:
    config = _read_json(folder / "config.json", name)
    if config.get("model_type") != "florence2":
        raise CheckpointError(
            f"{name} is no Florence-2: its config.json says model_type = "
            f"{config.get('model_type')!r}; give a Florence-2 checkpoint, such as base-ft"
        )
    vision: Mapping[str, Any] = config.get("vision_config") or {}
    text: Mapping[str, Any] = config.get("text_config") or {}
    if "dim_embed" in vision or text.get("model_type") == "florence2_language":
        raise CheckpointError(
            f"{name} is in the layout of the original microsoft/Florence-2 repositories, which is "
            "not read yet: use the same checkpoint in the native layout, such as "
            f"{PUBLIC['base-ft']}"
        )
    if not list(folder.glob("*.safetensors")):
        raise CheckpointError(
            f"{name} holds no *.safetensors weights: save it with safetensors (other formats can "
            "run code when they are read)"
        )
    size, mean, std = _read_image_settings(folder, name)
    generation: Mapping[str, Any] = {}
    if (folder / "generation_config.json").exists():
        generation = _read_json(folder / "generation_config.json", name)
    return Checkpoint(
        name,
        folder,
        revision,
        size,
        mean,
        std,
        _known_labels(folder, name),
        max_new_tokens=int(text.get("max_position_embeddings", 1024)),
        num_beams=generation.get("num_beams") or 1,
        no_repeat_ngram=generation.get("no_repeat_ngram_size") or 0,
    )


def _read_json(path: Path, name: str) -> dict[str, Any]:
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


_Triple = tuple[float, float, float]


def _read_image_settings(folder: Path, name: str) -> tuple[int, _Triple, _Triple]:
    if (folder / "preprocessor_config.json").exists():
        settings = _read_json(folder / "preprocessor_config.json", name)
    else:
        settings = _read_json(folder / "processor_config.json", name).get("image_processor", {})
    try:
        height, width = settings["size"]["height"], settings["size"]["width"]
        mean, std = tuple(settings["image_mean"]), tuple(settings["image_std"])
    except (KeyError, TypeError) as error:
        raise CheckpointError(
            f"{name}: its preprocessor configuration lacks {error}: copy it from the checkpoint "
            "that this one was made from"
        ) from error
    if height != width or len(mean) != 3 or len(std) != 3:
        raise CheckpointError(f"{name}: its input is no square RGB picture ({width}x{height})")
    return int(height), mean, std


def _known_labels(folder: Path, name: str) -> frozenset[str]:
    if (folder / "labels.txt").is_file():
        text = (folder / "labels.txt").read_text(encoding="utf-8")
    elif name in PUBLIC.values():
        text = resources.files(__package__).joinpath("coco-labels.txt").read_text("utf-8")
    else:
        return frozenset()
    return frozenset(line.strip() for line in text.splitlines() if line.strip())


def load_weights(checkpoint: Checkpoint, dtype: "torch.dtype") -> Any:
    """transformers' `Florence2ForConditionalGeneration` on the CPU, held to its configuration.

    Raises CheckpointError where a tensor is missing, unexpected or of another shape: such a model
    answers without a sign that anything is wrong.
    """
    from transformers import Florence2ForConditionalGeneration
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        model, report = Florence2ForConditionalGeneration.from_pretrained(
            checkpoint.folder,
            dtype=dtype,
            attn_implementation="sdpa",
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # reported below, with the names
        )
    except Exception as error:
        raise CheckpointError(
            f"can't load {checkpoint.name} ({type(error).__name__}: {error}): is the download "
            "complete?"
        ) from error
    for problem in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        names = sorted(str(key) for key in report[problem])
        if names:
            raise CheckpointError(
                f"{checkpoint.name} does not fit its configuration: {problem.replace('_', ' ')} "
                f"{', '.join(names[:3])}{' …' if len(names) > 3 else ''} ({len(names)} in all). "
                "Its answers would be wrong without a sign; get the checkpoint again"
            )
    return model.eval()


def load_tokenizer(checkpoint: Checkpoint) -> Any:
    """The checkpoint's own tokenizer, as `tokenizers.Tokenizer`.

    Raises CheckpointError where its location tokens are not in a row.
    """
    from tokenizers import Tokenizer

    path = checkpoint.folder / "tokenizer.json"
    if not path.is_file():
        raise CheckpointError(f"{checkpoint.name}: tokenizer.json is missing in {path.parent}")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:
        raise CheckpointError(f"{checkpoint.name}: can't read tokenizer.json: {error}") from error
    first = tokenizer.token_to_id("<loc_0>")
    ids = [tokenizer.token_to_id(f"<loc_{index}>") for index in range(1000)]
    if first is None or ids != list(range(first, first + 1000)):
        raise CheckpointError(
            f"{checkpoint.name}: its tokenizer lacks the location tokens <loc_0> … <loc_999>; use "
            "the tokenizer of a native Florence-2 checkpoint"
        )
    return tokenizer
