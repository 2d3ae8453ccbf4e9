"""What stays as it is in an output folder, because a person made it so, or since it can't be
written: that file, and nothing else."""

from pathlib import Path
from typing import Any

from florence_annotate.user_files import SMALL, UnreadableFileError, read_text
from florence_annotate.user_yaml import parse_yaml

Held = dict[str, str]
"""Path in the output folder → why it stays as it is."""

CHANGED = "it was changed since it was written"
LEFT_OVER = (
    "it was changed since it was written, and is no image of the dataset any more; YOLO would "
    "learn that there is nothing in it: move it away"
)
BY_HAND = (CHANGED, LEFT_OVER)
"""The reasons that are somebody's doing."""
DESCRIPTION = "data.yaml"
"""Without it a dataset of YOLO is none."""
LABELS = "labels/"
"""YOLO's."""


def hold_labels(out: Path, staged: Path, held: Held) -> bool:
    """Whether all labels of YOLO stay with what is held: a person's `data.yaml` has other class
    names than the one that would take its place."""
    return DESCRIPTION in held and _names(out / DESCRIPTION) != _names(staged / DESCRIPTION)


def _names(description: Path) -> Any:
    """Class names by id; None for a file that is none."""
    try:
        names = parse_yaml(read_text(description, SMALL))["names"]
        return names if isinstance(names, dict) else dict(enumerate(names))
    except (UnreadableFileError, KeyError, TypeError):
        return None
