"""How a checkpoint itself would have its answers written, and which of its files says so."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from florence_annotate.checkpoints.files import load_json

_FILE = "generation_config.json"
_FIELDS = (
    "bos_token_id",
    "decoder_start_token_id",
    "eos_token_id",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "no_repeat_ngram_size",
    "num_beams",
    "pad_token_id",
)
"""By the names that transformers gives them."""


def read_generation_settings(
    folder: Path, text_config: Mapping[str, Any], name: str
) -> Mapping[str, Any]:
    """The settings that a checkpoint gives, of `_FIELDS`.

    They stand in a file of their own, or, in old checkpoints, in the text model's configuration.
    Raises CheckpointError for a file that can't be read.
    """
    has_file = (folder / _FILE).exists()
    settings = load_json(folder / _FILE, name) if has_file else text_config
    return {field: settings[field] for field in _FIELDS if settings.get(field) is not None}
