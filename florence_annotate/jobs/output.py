"""Where a dataset goes."""

import glob
import os
from pathlib import Path

from florence_annotate.errors import SourceError, UsageError


def default_output(sources: tuple[str, ...]) -> Path:
    """`<source>-dataset` beside a single folder. Raises UsageError where there is none."""
    if len(sources) == 1:
        folder = Path(sources[0])
        if not os.path.lexists(folder) and not glob.has_magic(sources[0]):
            name = os.path.relpath(folder)
            raise SourceError(f"the source {name!r} is not there: check the spelling")
        if folder.is_dir() and folder.name and folder.absolute() != Path.cwd():
            return folder.with_name(f"{folder.name}-dataset")
    raise UsageError(
        "say with -o where the dataset goes: only a single folder, other than the one you are in, "
        "has a default"
    )
