"""The name of each image in a dataset."""

import hashlib
import os
from collections.abc import Callable, Iterable
from functools import lru_cache

from florence_annotate.journal import Journal

_READABLE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""Endings that the YOLO readers of both ultralytics and supervision list."""

_FILES_OF_FORMATS = (".txt", ".jpg", ".png", ".xml", ".json")
"""Endings of files that formats write for an image."""

_LONGEST_NAME = 250
"""Bytes of a file name, with some left of the usual 255."""


def export_names(journal: Journal) -> Callable[[str], str]:
    """The one function from a key to the image's name in a dataset; injective.

    The name is the key wherever that is safe. It is changed only where a reader would break:

    - another ending, `.png`, for kinds that YOLO readers do not list (a GIF, say);
    - `_` for characters that are escaped in the key, for the dot of a hidden name and in a folder
      named `images` (readers look for the *last* `/images/` of a path) or `metadata.jsonl` (a file
      of that name lies beside the images), a shorter name for one that is too long; for a second
      image with the same stem in one folder, whose label file would be the same; and for one
      whose files would be named as a folder is (`1.txt/`). Then a part of the key's hash is added,
      so that no two names meet.
    """
    first_of_stem: dict[str, str] = {}
    doubled: set[str] = set()
    folders: set[str] = set()
    for key, stem in journal.annotated_keys():
        if first_of_stem.setdefault(stem, key) != key:
            doubled.add(key)
        folders.add(key.rpartition("/")[0])
    doubled |= _named_as_folders(first_of_stem, folders)

    def export_name(key: str) -> str:
        folder, slash, name = key.rpartition("/")
        stem, suffix = os.path.splitext(name)
        if suffix.lower() not in _READABLE_SUFFIXES:
            suffix = ".png"
        safe = f"{_safe_folder(folder)}/{_safe(stem)}"
        if safe != f"{folder}/{stem}" or key in doubled:
            safe = f"{safe}-{hashlib.sha256(key.encode()).hexdigest()[:10]}"
        return (safe if slash else safe.removeprefix("/")) + suffix

    return export_name


def _named_as_folders(key_of_stem: dict[str, str], folders: Iterable[str]) -> set[str]:
    """Keys of images with a file, of their own or a format's, that has a folder's name.

    Stems and folders are paths; stems are case folded.
    """
    paths: set[str] = set()
    for folder in folders:
        path = folder.casefold()
        while path and path not in paths:
            paths.add(path)
            path = path.rpartition("/")[0]
    stems = {
        path.removesuffix(end) for path in paths for end in _FILES_OF_FORMATS if path.endswith(end)
    }
    return {
        key
        for stem, key in key_of_stem.items()
        if stem in stems or stem + _suffix(key).casefold() in paths
    }


def _suffix(key: str) -> str:
    """The ending of a key's name, with its dot."""
    name = key.rpartition("/")[2]
    dot = name.rfind(".")
    return name[dot:] if 0 < dot < len(name) - 1 else ""


@lru_cache(maxsize=4096)
def _safe_folder(folder: str) -> str:
    return "/".join(map(_safe, folder.split("/")))


def _safe(part: str) -> str:
    if part == "images" or part.casefold() == "metadata.jsonl":
        return f"{part}_"
    if part.startswith("."):
        part = "_" + part[1:]
    part = part.replace("\\", "_")
    room = _LONGEST_NAME - len("-0123456789.jpeg")
    if len(part.encode()) > room:
        part = part.encode()[:room].decode("utf-8", "ignore")
    return part
