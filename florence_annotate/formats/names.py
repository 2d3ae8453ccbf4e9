"""The name of each image in a dataset."""

import hashlib
import os
from collections.abc import Iterable
from functools import lru_cache
from typing import Protocol

_READABLE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""Endings that the YOLO readers of both ultralytics and supervision list."""

_FILES_OF_FORMATS = (".txt", ".jpg", ".png", ".xml", ".json")
"""Endings of files that formats write for an image."""

LONGEST_NAME = 250
"""Bytes of a file name, with some left of the usual 255."""


class Stems(Protocol):
    """A set of texts."""

    def add(self, text: str, /) -> None: ...

    def __contains__(self, text: object, /) -> bool: ...


class Names:
    """Gives names to new images, none that another image has; injective.

    The name is the key wherever that is safe. It is changed only where a reader would break:

    - another ending, `.png`, for kinds that YOLO readers do not list (a GIF, say);
    - `_` for characters that are escaped in the key, for the dot of a hidden name and in a folder
      named `images` (readers look for the *last* `/images/` of a path) or `metadata.jsonl` (a file
      of that name lies beside the images), a shorter name for one that is too long; for a second
      image with the same stem in one folder, whose label file would be the same; and for one
      whose files would be named as a folder is (`1.txt/`), or whose folder as a file. Then a part
      of the key's hash is added, so that no two names meet.
    """

    def __init__(self, keys: Iterable[str], taken: Iterable[str], stems: Stems) -> None:
        """`keys` are those of all images that may get a name, `taken` the names that are had,
        `stems` an empty set."""
        self._stems = stems
        """Stems of the names that are taken, case folded."""
        self._may_meet_files = False
        """Whether a folder of a new name may be named as a file is: images that come together make
        room for each other's folders, and only for those."""
        self._folders: set[str] = set()
        """Folders of names that are or may be taken, case folded: those that files may meet."""
        for name in taken:
            self._take(name)
            self._may_meet_files = True
        for key in keys:
            self._add_folder(_safe_folder(key.rpartition("/")[0]))

    def of(self, key: str) -> str:
        """The name of a new image, which is taken from now on."""
        folder, slash, name = key.rpartition("/")
        stem, suffix = os.path.splitext(name)
        if suffix.lower() not in _READABLE_SUFFIXES:
            suffix = ".png"
        safe_folder = self._beside_files(_safe_folder(folder))
        safe = f"{safe_folder}/{_safe(stem)}"
        is_changed = safe != f"{folder}/{stem}"
        if is_changed or self._is_in_the_way(safe.removeprefix("/"), suffix):
            safe = f"{safe}-{hashlib.sha256(key.encode()).hexdigest()[:10]}"
        found = (safe if slash else safe.removeprefix("/")) + suffix
        self._take(found)
        return found

    def _take(self, name: str) -> None:
        self._stems.add(name.rpartition(".")[0].casefold())
        self._add_folder(name.rpartition("/")[0])

    def _add_folder(self, folder: str) -> None:
        path = folder.casefold()
        while path and "." in path and path not in self._folders:
            self._folders.add(path)
            path = path.rpartition("/")[0]

    def _is_in_the_way(self, stem: str, suffix: str) -> bool:
        """Whether another image has the stem, or a file about this one the name of a folder."""
        folded = stem.casefold()
        if folded in self._stems:
            return True
        endings = (suffix.casefold(), *_FILES_OF_FORMATS) if self._folders else ()
        return any(folded + end in self._folders for end in endings)

    def _beside_files(self, folder: str) -> str:
        """The folder, with an `_` behind each part that a file about an image has for a name."""
        if not self._may_meet_files:
            return folder
        path = ""
        for part in folder.split("/") if folder else ():
            path = f"{path}/{part}" if path else part
            while self._is_file(path):
                path += "_"
        return path

    def _is_file(self, path: str) -> bool:
        folded = path.casefold()
        stem, dot, ending = folded.rpartition(".")
        is_ending = f".{ending}" in {*_READABLE_SUFFIXES, *_FILES_OF_FORMATS}
        return bool(dot) and is_ending and stem in self._stems


@lru_cache(maxsize=4096)
def _safe_folder(folder: str) -> str:
    return "/".join(map(_safe, folder.split("/")))


def _safe(part: str) -> str:
    if part == "images" or part.casefold() == "metadata.jsonl":
        return f"{part}_"
    if part.startswith("."):
        part = "_" + part[1:]
    return shortened(part.replace("\\", "_"), LONGEST_NAME - len("-0123456789.jpeg"))


def shortened(text: str, room: int) -> str:
    """As much of a text from its beginning as has room in so many bytes of UTF-8."""
    return text.encode()[:room].decode("utf-8", "ignore")
