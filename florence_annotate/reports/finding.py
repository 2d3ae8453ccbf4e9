"""Which image of a job somebody means."""

import os
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path, PurePosixPath

from florence_annotate.errors import UsageError, nearest_of
from florence_annotate.images.keys import printable
from florence_annotate.journal import Assigned, Journal
from florence_annotate.journal.selection import Selected
from florence_annotate.types import ImageRef

_SHOWN = 3
"""Keys in a message; and by how many characters those that are compared may be longer."""
_MOST_COMPARED = 10_000
"""Keys that are compared by spelling: of many that look alike each takes its time."""


class _By(IntEnum):
    """By what an image is known; what comes first counts."""

    KEY = 0
    PATH = 1
    FILE = 2
    """A file about it in the dataset: the image, its labels, its visual."""
    EXPORT_NAME = 3
    END = 4
    """The end of its key after a `/`."""
    STEM = 5
    """The same without its ending."""


def find_image(journal: Journal, out: Path, given: str) -> tuple[ImageRef, Selected]:
    """The image that is known by this, and what the sources say of it; also one that left.

    `given` is its key, its path, the path of a file about it in the dataset, its export name, or
    the end of its key, with its ending or without. Raises UsageError where none or several are.
    """
    found: dict[_By, list[tuple[ImageRef, Selected]]] = {}
    meant = _Meant(given, out)
    for ref, selected, assigned in _each(journal):
        by = meant.known_by(ref, assigned)
        if by is _By.KEY:
            return ref, selected
        if by is not None:
            found.setdefault(by, []).append((ref, selected))
    if not found:
        raise UsageError(f"{out} has no image {given!r}: {_hint(journal, given)}")
    first, *others = found[min(found)]
    if others:
        keys = [ref.key for ref, _ in (first, *others)]
        more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
        raise UsageError(
            f"{given!r} may be {', '.join(keys[:_SHOWN])}{more}: name the image with its folder"
        )
    return first


def _each(journal: Journal) -> Iterator[tuple[ImageRef, Selected, Assigned | None]]:
    """All images of a job, with what each has kept from its first export on."""
    assigned = journal.exports.assignments.each()
    ahead = next(assigned, None)
    for ref, selected in journal.selection.each():
        while ahead is not None and ahead[0] < ref.key:
            ahead = next(assigned, None)
        yield ref, selected, ahead[1] if ahead is not None and ahead[0] == ref.key else None


class _Meant:
    """What somebody wrote, to be held to one image after the other."""

    def __init__(self, given: str, out: Path) -> None:
        self._given = given
        self._names = {given, printable(os.fsencode(given))}
        """As keys are written, and as files are called."""
        path = os.path.abspath(given)
        self._paths = {os.fsencode(path), os.path.realpath(os.fsencode(path))}
        folder = f"{os.path.abspath(out)}/"
        # OUT/FOLDER/SPLIT/NAME
        inside = path.removeprefix(folder) if path.startswith(folder) else ""
        self._file_stem = inside.partition("/")[2].rpartition(".")[0]

    def known_by(self, ref: ImageRef, assigned: Assigned | None) -> _By | None:
        """By what it is this image, if it is."""
        given = self._given
        if given == ref.key:
            return _By.KEY
        if ref.path in self._paths:
            return _By.PATH
        if assigned is not None:
            name = f"{assigned.split}/{assigned.name}"
            if self._file_stem and self._file_stem == name.rpartition(".")[0]:
                return _By.FILE
            if given in (assigned.name, name):
                return _By.EXPORT_NAME
        if self._ends(ref.key):
            return _By.END
        return _By.STEM if self._ends(ref.key.rpartition(".")[0]) else None

    def _ends(self, key: str) -> bool:
        return any(key == name or key.endswith(f"/{name}") for name in self._names)


def _hint(journal: Journal, given: str) -> str:
    names: dict[str, str] = {}
    example = None
    written = PurePosixPath(given)
    for ref, selected in journal.selection.each():
        example = example or ref.key
        name = PurePosixPath(ref.key).name if written.suffix else PurePosixPath(ref.key).stem
        if selected > 0 and abs(len(name) - len(written.name)) <= _SHOWN:
            names.setdefault(name, ref.key)
        if len(names) == _MOST_COMPARED:
            break
    meant: list[str] = []
    while len(meant) < _SHOWN and (near := nearest_of(written.name, names)):
        meant.append(names.pop(near))
    if meant:
        return f"did you mean {', '.join(meant)}?"
    if example is None:
        return "the job has no image yet"
    return f"an image is known by its key, such as {example!r}, or its path"
