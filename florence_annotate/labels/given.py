"""What files of labels say: images by their names, and the objects on each."""

import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from florence_annotate.errors import UsageError
from florence_annotate.types import Box
from florence_annotate.user_files import SMALL, UnreadableFileError, read_text

_FARTHEST = 1e9
"""No image has an edge so many pixels from its corner: beyond that, a number is a mistake."""


@dataclass(frozen=True, slots=True)
class Region:
    """A box that a user gives, and its label where it has one."""

    box: Box
    label: str | None = None
    is_relative: bool = False
    """The box is normalised: in parts of the image's sides instead of pixels."""

    @classmethod
    def of(
        cls, box: Iterable[float], label: str | None = None, *, is_relative: bool = False
    ) -> "Region":
        """A region from x1, y1, x2, y2; raises ValueError for what is no box.

        That is other than four finite numbers, or an end before its beginning.
        """
        edges = tuple(map(float, box))
        if len(edges) != 4 or not all(abs(edge) < _FARTHEST for edge in edges):  # nan is not
            raise ValueError(f"{list(edges)} is no box: four numbers are")
        x1, y1, x2, y2 = edges
        if x2 < x1 or y2 < y1:
            raise ValueError(f"{list(edges)} ends before it begins")
        return cls((x1, y1, x2, y2), label, is_relative)

    def pixels(self, width: int, height: int) -> Box:
        """The box in pixels of an image that is `width` by `height` pixels."""
        x1, y1, x2, y2 = self.box
        if not self.is_relative:
            return self.box
        return x1 * width, y1 * height, x2 * width, y2 * height


Outline = tuple[tuple[float, ...], ...]
"""The parts of a mask, each x1, y1, x2, y2, … around it."""


@dataclass(frozen=True, slots=True)
class GivenObject:
    """One object on an image."""

    region: Region
    is_crowd: bool = False
    """The box holds more than can be told apart, or what is hard to see: nobody is asked for it."""
    area: float | None = None
    """In square pixels, where the file says it."""
    mask: Outline | Mapping[str, Any] | None = None
    """An outline in the units of the box, or COCO's run lengths (`size`, `counts`)."""


@dataclass(frozen=True, slots=True)
class GivenImage:
    name: str
    """As the file spells it, with `/`."""
    objects: tuple[GivenObject, ...]
    size: tuple[int, int] | None = None
    """Width and height, where the file says them."""
    key: str | None = None
    """Its key in a job, as COCO files of this program carry it."""


@dataclass(frozen=True, slots=True)
class GivenLabels:
    """All that a file, or a folder of files, says."""

    source: Path
    images: tuple[GivenImage, ...]
    classes: tuple[str, ...]
    """Names of all classes, also of those without an object."""
    has_suffixes: bool
    """The names of images end as image files do, in `.jpg` for example."""


def class_name(names: Mapping[Any, Any], number: Any) -> str:
    """The name of a class. Raises ValueError for a number without one, and for what is no name."""
    if number not in names:
        raise ValueError(f"a box is of class {number}, which has no name")
    return checked_name(names[number])


def checked_name(name: Any) -> str:
    """The name of a class without white space around it. Raises ValueError for what is none."""
    label = str(name).strip()
    if not label or any(unicodedata.category(character) == "Cc" for character in label):
        raise ValueError(f"the class name {label!r} is empty or holds a control character")
    return label


def files_below(folder: Path, ending: str) -> list[Path]:
    """The files in a folder and those below it, in order. Raises OSError for what can't be
    listed."""

    def refuse(error: OSError) -> None:  # else labels would be missing without a word
        raise error

    walked = os.walk(folder, onerror=refuse)
    return sorted(Path(above, n) for above, _, names in walked for n in names if n.endswith(ending))


def small_text(file: Path) -> str:
    """The text of one of many files; its name is in the UnreadableFileError that is raised."""
    try:
        return read_text(file, SMALL)
    except UnreadableFileError as error:
        raise UnreadableFileError(error.kind, f"{file}: {error}") from error


@contextmanager
def read_as(what: str, source: Path, give: str) -> Iterator[None]:
    """Say in one line what can't be read, why, and what to give instead. Raises UsageError."""
    try:
        yield
    except (
        *(UnreadableFileError, OSError, ValueError, KeyError, TypeError, OverflowError),
        AttributeError,
    ) as error:
        name = "" if isinstance(error, UnreadableFileError) else f"{type(error).__name__}: "
        raise UsageError(f"can't read the {what} in {source} ({name}{error}): {give}") from error
