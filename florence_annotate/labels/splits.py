"""The splits that users give: lists of the images of one, and folders that are named as one."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from florence_annotate.errors import UsageError
from florence_annotate.labels.by_name import ByName
from florence_annotate.types import ImageRef
from florence_annotate.user_files import LARGE, UnreadableFileError, read_text

_SPLIT_OF_FOLDER = {
    "train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}
"""By the folder's name, case folded."""


def split_of_folder(key: str, tops: Iterable[str]) -> str | None:
    """The split that an image is in by its folder, where that stands right below one of `tops`:
    what keys begin with, or nothing."""
    for top in tops:
        folder, slash, _ = key.removeprefix(top).partition("/")
        if slash and key.startswith(top) and (split := _SPLIT_OF_FOLDER.get(folder.casefold())):
            return split
    return None


def find_tops(keys: Iterable[str], prefixes: Iterable[str]) -> list[str]:
    """The sources that are split by folders, by these prefixes of their keys: right below one there
    are images of train and of another split. What begins with nothing is looked at in any case."""
    found: dict[str, set[str]] = {top: set() for top in ("", *prefixes)}
    for key in keys:
        for top, splits in found.items():
            if (split := split_of_folder(key, [top])) is not None:
                splits.add(split)
    return [top for top, splits in found.items() if "train" in splits and len(splits) > 1]


def read_list(file: Path) -> list[str]:
    """The names in a text file in UTF-8, one a line; lines that begin with `#` are none.

    Raises ValueError, whose message goes on after what was given.
    """
    try:
        lines = read_text(file, LARGE).splitlines()
    except UnreadableFileError as error:
        raise ValueError(f"can't read {file}: {error}") from error
    names = [line.strip().removeprefix("./") for line in lines]
    if not (named := [name for name in names if name and not name.startswith("#")]):
        raise ValueError(f"{file} names no image: put one name on each line")
    return named


class SplitLists:
    """Finds the split of an image in lists; see `ByName` for what a name stands for."""

    def __init__(self, lists: Mapping[str, Sequence[str]]) -> None:
        """`lists` are the names in each split; no name is in two."""
        split_of = {name: split for split, names in lists.items() for name in names}
        self._split_of = self._by_name(split_of)

    def __call__(self, ref: ImageRef) -> str | None:
        """None for an image that is in no list."""
        return self._split_of(ref) or None

    def fit(self, refs: Callable[[], Iterable[ImageRef]]) -> tuple[str, ...]:
        """Hold the lists to all images of a job; returns the names that no image has.

        Raises UsageError where a name stands for two images, an image is in two lists, or no image
        is in any.
        """
        unused = self._split_of.fit(refs())
        others = self._by_name({name: name for name in unused})
        seconds = set()
        for ref in refs() if unused else ():
            if not (second := others(ref)):
                continue
            seconds.add(second)
            one, other = self._split_of(ref), self._split_of.values[second]
            if one != other:
                raise UsageError(
                    f"{ref.key} is in two lists of --split-file, {one} and {other}: take it out of "
                    "one"
                )
        return tuple(name for name in unused if name not in seconds)

    @staticmethod
    def _by_name(values: Mapping[str, str]) -> ByName[str]:
        paths = {name: name for name in values if os.path.isabs(name)}
        return ByName(values, "", "--split-file", aliases=paths)
