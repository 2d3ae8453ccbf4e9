"""What users give for each image, found by the image's name."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Generic, TypeVar

from florence_annotate.errors import UsageError
from florence_annotate.types import ImageRef

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class ByName(Generic[Value]):
    """Values by the names of images.

    A name stands for the image whose key it is, or for one whose key ends in it after a `/`; where
    several names fit one image, the longest counts.
    """

    values: Mapping[str, Value]
    none: Value
    """The value of images that are not named."""
    source: Path | str
    """The file or folder that the values come from, or the flag that names it, for messages."""
    has_suffixes: bool = True
    """The names end as the image files do, in `.jpg` for example."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Other ways to say a name: a whole key, or the absolute path of an image → the name."""
    doubtful: frozenset[str] = frozenset()
    """Keys that would be an alias of several names, so that nobody can say which is meant."""

    def __call__(self, ref: ImageRef) -> Value:
        """The value of an image; `none` where it is not named."""
        name = self._name(ref)
        return self.none if name is None else self.values[name]

    def _name(self, ref: ImageRef) -> str | None:
        whole = self._whole(ref)
        parts = PurePosixPath(whole).parts
        ends = ("/".join(parts[start:]) for start in range(len(parts)))
        named = next((end for end in ends if end in self.values), None)
        return named or self.aliases.get(whole) or self.aliases.get(os.fsdecode(ref.path))

    def _whole(self, ref: ImageRef) -> str:
        path = PurePosixPath(ref.key)
        return str(path if self.has_suffixes else path.with_suffix(""))

    def fit(self, refs: Iterable[ImageRef]) -> tuple[str, ...]:
        """Hold the names to all images of a job; returns the names that no image has.

        Raises UsageError where one name stands for two images, or no image is named at all.
        """
        keys: dict[str, str] = {}
        for ref in refs:
            name = self._name(ref)
            if name is None and (whole := self._whole(ref)) in self.doubtful:
                raise UsageError(
                    f"{self.source} has {whole!r} in several folders: annotate the folder "
                    f"above that of {ref.key}, so that its path says which is meant"
                )
            if name is not None and keys.setdefault(name, ref.key) != ref.key:
                raise UsageError(
                    f"{self.source} has one entry, {name!r}, for {keys[name]} and {ref.key}: name "
                    "each with its folder"
                )
        if not keys:
            raise UsageError(
                f"none of the images is named in {self.source}: its names are such as "
                f"{next(iter(self.values), '')!r}, and an image's name is its path in the source, "
                "or the end of it"
            )
        return tuple(name for name in self.values if name not in keys)


def paths_of(names: Iterable[str], file: Path) -> dict[str, str]:
    """Aliases for names that are paths: absolute path → name.

    A path counts from the working directory, or from the folder of the file that holds the names.
    """
    return {os.path.abspath(path): name for name in names for path in (name, file.parent / name)}
