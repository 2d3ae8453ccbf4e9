"""The last copy of an image is never lost: where a dataset's file would go and no original with its
bytes is known to be there, it moves to `orphans/`, from where the image can come back."""

import os
from collections.abc import Collection, Sequence
from pathlib import Path

from florence_annotate.formats.staging import name_of_content
from florence_annotate.journal import Exported, Journal, Placed

_FOLDER = "orphans/"


def is_one(path: str) -> bool:
    """Whether a path of the output is that of a last copy."""
    return path.startswith(_FOLDER)


def find(
    out: Path, path: str, content: str, source: str, kept: Collection[str], journal: Journal
) -> tuple[str, Exported] | None:
    """Where an image of the dataset is to be kept that is the last copy, and what is noted of it
    there; None for any other.

    It has this content and was made of the original `source`, both by their SHA-256; `kept` are
    the originals of which the dataset has a file beside this one. Raises OSError.
    """
    target = out / path
    if target.is_symlink() or source in kept or _lies_elsewhere(target, source, journal):
        return None
    status = os.lstat(target)
    noted = Exported(content, status.st_size, status.st_mtime_ns, source, Placed.COPY)
    return f"{_FOLDER}{content[:10]}-{target.name}", noted


def move(out: Path, path: str, orphan: str) -> None:
    """Move a last copy to where it is kept. Raises OSError."""
    (out / _FOLDER).mkdir(exist_ok=True)
    (out / path).replace(out / orphan)


def _lies_elsewhere(target: Path, source: str, journal: Journal) -> bool:
    """Whether a file with the bytes of an original is where one of them was read."""
    for path in journal.originals_of(source):
        try:
            if _is_same_file(path, target) or name_of_content(os.fsdecode(path)) == source:
                return True
        except OSError:
            continue
    return False


def is_link(target: Path, known: Sequence[Exported], journal: Journal) -> bool:
    """Whether an image of the dataset and its original are one file under two names."""
    if target.is_symlink():
        return False
    if any(file.placed is None for file in known) and target.stat().st_nlink > 1:
        return True  # older versions did not note how it was placed
    sources = [file.source for file in known if file.source and file.placed == Placed.HARD_LINK]
    originals = [path for source in sources for path in journal.originals_of(source)]
    return any(_is_same_file(path, target) for path in originals)


def _is_same_file(path: bytes, target: Path) -> bool:
    try:
        return os.path.samefile(path, target)
    except OSError:
        return False
