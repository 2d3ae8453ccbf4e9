"""The dataset's files: one module a format, and the registry of their names."""

from collections.abc import Callable, Sequence

from florence_annotate.errors import UsageError
from florence_annotate.formats import coco, yolo
from florence_annotate.formats.export import Export

FORMATS: dict[str, Callable[[Export], None]] = {"yolo": yolo.write, "coco": coco.write}


def refuse_unknown(names: Sequence[str]) -> None:
    """Raises UsageError for a format that does not exist, or for none at all."""
    for name in names:
        if name not in FORMATS:
            raise UsageError(f"there is no format {name!r}: choose from {', '.join(FORMATS)}")
    if not names:
        raise UsageError(f"--format names no format: choose from {', '.join(FORMATS)}")
