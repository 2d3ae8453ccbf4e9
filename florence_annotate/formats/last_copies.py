"""The last copy of an image is never lost: where a dataset's file would go and no original with its
bytes is known to be there, it moves to `orphans/`, from where the image can come back."""

import os
from itertools import count
from pathlib import Path

from florence_annotate.formats.names import LONGEST_NAME, shortened
from florence_annotate.formats.staging import name_of_content
from florence_annotate.formats.whereabouts import Whereabouts
from florence_annotate.journal import LINK, Exported, Placed

FOLDER = "orphans"


def is_one(path: str) -> bool:
    """Whether a path of the output is that of a last copy."""
    return path.startswith(f"{FOLDER}/")


class LastCopies:
    """Those among the files that one export replaces or removes."""

    def __init__(self, out: Path, whereabouts: Whereabouts) -> None:
        self._out = out
        self._whereabouts = whereabouts
        self._contents: dict[str, str | None] = {}
        """Path of a last copy → what lies or will lie there, as far as that was asked."""

    def find(
        self, path: str, source: str, content: str, known: Exported | None
    ) -> tuple[str, Exported] | None:
        """Where an image is to be kept that is the dataset's only file of its original, and the
        last copy; and what is to be noted of it there. None for any other.

        It was made of this source and has this content; `known` is what is noted of it, if that
        is. Raises OSError.
        """
        target = self._out / path
        if target.is_symlink():
            return None
        if source.startswith(LINK):  # a journal that is damaged says so of what is no link
            source = content = name_of_content(target)
        if self._whereabouts.has_as_link(target, source) or self._whereabouts.is_there(source):
            return None
        status = os.lstat(target)
        is_encoded = known is not None and known.placed == Placed.ENCODED
        placed = Placed.ENCODED if is_encoded else Placed.COPY
        noted = Exported(content, status.st_size, status.st_mtime_ns, source, placed)
        return self._name(target.name, source, content), noted

    def move(self, path: str, orphan: str) -> None:
        """Move a last copy to where it is kept. Raises OSError."""
        (self._out / FOLDER).mkdir(exist_ok=True)
        os.replace(self._out / path, self._out / orphan)

    def _name(self, name: str, source: str, content: str) -> str:
        """A path that is free, or has this very content: names repeat in other folders, and a file
        that is there may have been edited."""
        stem, suffix = os.path.splitext(name)
        for number in count(1):
            mark = source[:10] + (f"-{number}-" if number > 1 else "-")
            room = LONGEST_NAME - len(mark) - len(suffix.encode())
            path = f"{FOLDER}/{mark}{shortened(stem, room)}{suffix}"
            if path not in self._contents:
                self._contents[path] = _lying(self._out / path)
            if self._contents[path] in (None, content):
                break
        self._contents[path] = content
        return path


def _lying(path: Path) -> str | None:
    """The name of the content that lies there; None where nothing does."""
    try:
        return name_of_content(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return ""  # what can't be read is none of ours
