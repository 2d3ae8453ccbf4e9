"""The texts that users give for each image: in a CSV, or in a `.txt` beside each."""

import csv
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

from florence_annotate.errors import UsageError
from florence_annotate.labels.by_name import ByName, paths_of
from florence_annotate.types import ImageRef
from florence_annotate.user_files import LARGE, SMALL, UnreadableFileError, read_text

SIDECAR = "sidecar"
"""Given instead of a file: each image's text is in a `.txt` of the same name beside it."""


TextOf = Callable[[ImageRef], str | None]
"""Looks up the text of an image; None where it has none."""


def sidecar_text(ref: ImageRef) -> str | None:
    """The text in the `.txt` beside an image, on one line; None where there is none to read."""
    path = os.path.splitext(ref.path)[0] + b".txt"
    try:
        return " ".join(read_text(path, SMALL).split()) or None
    except UnreadableFileError:
        return None


def read_texts(file: Path) -> ByName[str | None]:
    """The texts of a CSV in UTF-8 with the columns `image` and `text`, by the image's name.

    Raises UsageError for anything else, and for two texts for one name.
    """
    csv.field_size_limit(sys.maxsize)  # too long a text is the failure of its image alone
    try:
        lines = io.StringIO(read_text(file, LARGE), newline="")
        rows = list(csv.DictReader(lines, strict=True))
    except (UnreadableFileError, csv.Error) as error:
        raise UsageError(
            f"can't read the texts in {file}: {error} (UTF-8, and texts with commas or quotes in "
            'double quotes, as in a.jpg,"a cat, a dog")'
        ) from error
    if not rows or not {"image", "text"} <= rows[0].keys():
        said = f", and it has {', '.join(map(repr, rows[0]))}" if rows else ""
        raise UsageError(
            f"{file} needs the columns image and text, a header line and a row an image{said}; or "
            f"give --texts {SIDECAR} for a .txt beside each image"
        )
    for number, row in enumerate(rows, start=1):
        if None in row:
            raise UsageError(
                f"{file}: row {number}, of {row['image']!r}, has more cells than the header: put "
                'texts with commas in double quotes, as in a.jpg,"a cat, a dog"'
            )
    texts: dict[str, str | None] = {}
    for row in rows:
        name = (row["image"] or "").strip()
        if texts.setdefault(name, (row["text"] or "").strip()) != (row["text"] or "").strip():
            raise UsageError(f"{file} has two texts for {name!r}: keep one of them")
    return ByName(texts, None, file, aliases=paths_of(texts, file))
