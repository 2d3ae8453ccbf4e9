"""What users give for each picture beside the pictures: texts to ground, regions to ask about."""

import csv
import hashlib
import json
import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Generic, TypeVar

import yaml

from florence_annotate.errors import UsageError
from florence_annotate.types import Box, ImageRef

_FARTHEST = 1e9
"""Pixels from the corner at which no picture's edge lies."""

SIDECAR = "sidecar"
"""In the place of a file: a text beside each picture, with its name and the ending `.txt`."""


@dataclass(frozen=True, slots=True)
class Region:
    """A box that a user gives, and its label where it has one."""

    box: Box
    label: str | None = None
    is_relative: bool = False
    """In parts of the picture's sides instead of pixels of the upright picture."""

    @classmethod
    def of(
        cls, box: Iterable[float], label: str | None = None, *, is_relative: bool = False
    ) -> "Region":
        """Raises ValueError for what is no box: other than four numbers, or without an end."""
        edges = tuple(map(float, box))
        if len(edges) != 4 or not all(abs(edge) < _FARTHEST for edge in edges):  # nan is not
            raise ValueError(f"{list(edges)} is no box: four numbers are")
        x1, y1, x2, y2 = edges
        if x2 < x1 or y2 < y1:
            raise ValueError(f"{list(edges)} ends before it begins")
        return cls((x1, y1, x2, y2), label, is_relative)

    def pixels(self, width: int, height: int) -> Box:
        """The box in pixels."""
        x1, y1, x2, y2 = self.box
        if not self.is_relative:
            return self.box
        return x1 * width, y1 * height, x2 * width, y2 * height


TextOf = Callable[[ImageRef], str | None]
"""The text of a picture; None where it has none."""
RegionsOf = Callable[[ImageRef], Sequence[Region]]
"""The given regions of a picture."""

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class ByName(Generic[Value]):
    """Values by the names of pictures: the whole key, or the longest end of it that is named."""

    values: Mapping[str, Value]
    none: Value
    source: Path
    has_suffixes: bool = True
    """The names have the endings of the pictures."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """A whole key, or the absolute path of a picture → the name that it stands for."""
    doubtful: frozenset[str] = frozenset()
    """Whole keys that would be an alias of several names."""

    def __call__(self, ref: ImageRef) -> Value:
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
        """The names that no picture has.

        Raises UsageError where one name stands for two pictures, or no picture is named.
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
                f"none of the pictures is named in {self.source}: its names are such as "
                f"{next(iter(self.values), '')!r}, and a picture's name is its path in the source, "
                "or the end of it"
            )
        return tuple(name for name in self.values if name not in keys)


def sidecar_text(ref: ImageRef) -> str | None:
    """The text in the `.txt` beside a picture; None where there is none."""
    path = os.path.splitext(ref.path)[0] + b".txt"
    try:
        with open(path, encoding="utf-8-sig") as file:
            return " ".join(file.read().split()) or None
    except (OSError, UnicodeDecodeError):
        return None


def read_texts(file: Path) -> ByName[str | None]:
    """A CSV with the columns `image` and `text`. Raises UsageError for anything else."""
    csv.field_size_limit(sys.maxsize)  # long texts are failures of their pictures
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            rows = list(csv.DictReader(opened, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(
            f"can't read the texts in {file}: {error} (UTF-8, and texts with commas or quotes in "
            'double quotes, as in a.jpg,"a cat, a dog")'
        ) from error
    if not rows or not {"image", "text"} <= rows[0].keys():
        said = f", and it has {', '.join(map(repr, rows[0]))}" if rows else ""
        raise UsageError(
            f"{file} needs the columns image and text, a header line and a row a picture{said}; or "
            f"give --texts {SIDECAR} for a .txt beside each picture"
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
    return ByName(texts, None, file, aliases=_paths(texts, file))


def read_regions(source: Path) -> ByName[Sequence[Region]]:
    """The boxes of a COCO file, or of a folder of YOLO labels. Raises UsageError."""
    try:
        if source.is_dir():
            return _read_yolo(source)
        regions = _read_coco(json.loads(source.read_text("utf-8")))
        return ByName(regions, (), source, aliases=_paths(regions, source))
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise UsageError(
            f"can't read the regions in {source} ({type(error).__name__}: {error}): give a COCO "
            "file with images, annotations and categories, or a YOLO folder with data.yaml and "
            "boxes in labels/"
        ) from error


def _paths(names: Iterable[str], file: Path) -> dict[str, str]:
    """Where names that are paths lead, from here or from the folder of the file that has them."""
    return {os.path.abspath(path): name for name in names for path in (name, file.parent / name)}


def _read_coco(coco: Mapping[str, Any]) -> dict[str, list[Region]]:
    names = {image["id"]: str(image["file_name"]) for image in coco["images"]}
    categories = {one["id"]: str(one["name"]) for one in coco.get("categories", ())}
    regions: dict[str, list[Region]] = {name: [] for name in names.values()}
    for annotation in coco["annotations"]:
        image, category = annotation["image_id"], annotation.get("category_id")
        if image not in names:
            raise ValueError(f"an annotation is about image {image!r}, which is not in images")
        x, y, width, height = map(float, annotation["bbox"])
        label = None if category is None else _label(categories, category)
        regions[names[image]].append(Region.of((x, y, x + width, y + height), label))
    _refuse_none(regions)
    return regions


def _label(labels: Mapping[Any, str], number: Any) -> str:
    if number not in labels:
        raise ValueError(f"a box is of class {number}, which has no name")
    label = str(labels[number]).strip()
    if not label or any(unicodedata.category(character) == "Cc" for character in label):
        raise ValueError(f"the class name {label!r} is empty or holds a control character")
    return label


def _refuse_none(regions: Mapping[str, Sequence[Region]]) -> None:
    if not any(regions.values()):
        raise ValueError("it holds no box")


def _read_yolo(folder: Path) -> ByName[Sequence[Region]]:
    """Boxes of `labels/<split>/…/name.txt` under `<split>/…/name`; where a split alone is annotated
    its keys are `…/name`, which is an alias if only one split has it."""
    names = yaml.safe_load((folder / "data.yaml").read_text("utf-8"))["names"]
    label_of = dict(enumerate(names)) if isinstance(names, list) else dict(names)
    regions: dict[str, list[Region]] = {}
    in_split: dict[str, list[str]] = {}
    for file in sorted((folder / "labels").rglob("*.txt")):
        path = PurePosixPath(*file.relative_to(folder / "labels").with_suffix("").parts)
        found = [_read_row(line, label_of, file) for line in _lines(file)]
        regions[str(path)] = found
        if len(path.parts) > 1:
            in_split.setdefault("/".join(path.parts[1:]), []).append(str(path))
    _refuse_none(regions)
    return ByName(
        regions,
        (),
        folder,
        has_suffixes=False,
        aliases={name: paths[0] for name, paths in in_split.items() if len(paths) == 1},
        doubtful=frozenset(name for name, paths in in_split.items() if len(paths) > 1),
    )


def _lines(file: Path) -> list[str]:
    return [line for line in file.read_text("utf-8").splitlines() if line.strip()]


def _read_row(line: str, label_of: Mapping[int, str], file: Path) -> Region:
    number, *place = line.split()
    if len(place) != 4:
        raise ValueError(f"{file}: {line!r} is no box, class cx cy width height")
    x, y, width, height = map(float, place)
    if not all(0 <= value <= 1 for value in (x, y, width, height)):
        raise ValueError(f"{file}: {line!r}: places are parts of the picture's sides, 0 to 1")
    box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    return Region.of(box, _label(label_of, int(number)), is_relative=True)


def digest(source: str | None) -> str | None:
    """SHA-256 of what was given, so that a job is bound to it; None for sidecars and nothing."""
    if source is None or source == SIDECAR:
        return None
    path = Path(source)
    files = [path]
    if path.is_dir():
        files = [path / "data.yaml", *sorted((path / "labels").rglob("*.txt"))]
    total = hashlib.sha256()
    for file in files:
        total.update(f"{file.relative_to(path)}\0".encode())
        total.update(file.read_bytes())
    return total.hexdigest()
