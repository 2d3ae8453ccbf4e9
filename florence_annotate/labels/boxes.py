"""Boxes that users give: those of a COCO file, or of a folder of YOLO labels."""

import os
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from florence_annotate.errors import UsageError
from florence_annotate.labels.by_name import ByName, paths_of
from florence_annotate.types import Box, ImageRef
from florence_annotate.user_files import LARGE, SMALL, UnreadableFileError, parse_json, read_text
from florence_annotate.user_yaml import parse_yaml

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


RegionsOf = Callable[[ImageRef], Sequence[Region]]
"""Looks up the given regions of an image; none where it has none."""


def read_regions(source: Path) -> ByName[Sequence[Region]]:
    """The boxes of a COCO file, or of a folder of YOLO labels with its data.yaml.

    Raises UsageError for anything else, and where there is no box at all.
    """
    try:
        if source.is_dir():
            return _read_yolo(source)
        regions = _parse_coco(parse_json(read_text(source, LARGE)))
        return ByName(regions, (), source, aliases=paths_of(regions, source))
    except (UnreadableFileError, OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        name = "" if isinstance(error, UnreadableFileError) else f"{type(error).__name__}: "
        raise UsageError(
            f"can't read the regions in {source} ({name}{error}): give a COCO file with images, "
            "annotations and categories, or a YOLO folder with data.yaml and boxes in labels/"
        ) from error


def label_files(folder: Path) -> list[Path]:
    """The files of labels of a YOLO folder, in order. Raises OSError for what can't be listed."""

    def refuse(error: OSError) -> None:  # else boxes would be missing without a word
        raise error

    walked = os.walk(folder / "labels", onerror=refuse)
    return sorted(
        Path(above, name) for above, _, names in walked for name in names if name.endswith(".txt")
    )


def _parse_coco(coco: Mapping[str, Any]) -> dict[str, list[Region]]:
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
    """The boxes of `labels/<split>/…/name.txt`, by the name `<split>/…/name`.

    Where the images of one split alone are annotated, their keys are `…/name`: that is an alias of
    the name if no other split has it.
    """
    names = parse_yaml(_text(folder / "data.yaml"))["names"]
    label_of = dict(enumerate(names)) if isinstance(names, list) else dict(names)
    regions: dict[str, list[Region]] = {}
    in_split: dict[str, list[str]] = {}
    for file in label_files(folder):
        path = PurePosixPath(*file.relative_to(folder / "labels").with_suffix("").parts)
        found = [_parse_row(line, label_of, file) for line in _lines(file)]
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
    return [line for line in _text(file).splitlines() if line.strip()]


def _text(file: Path) -> str:
    try:
        return read_text(file, SMALL)
    except UnreadableFileError as error:
        raise UnreadableFileError(error.kind, f"{file}: {error}") from error


def _parse_row(line: str, label_of: Mapping[int, str], file: Path) -> Region:
    number, *position = line.split()
    if len(position) != 4:
        raise ValueError(f"{file}: {line!r} is no box, class cx cy width height")
    x, y, width, height = map(float, position)
    if not all(0 <= value <= 1 for value in (x, y, width, height)):
        raise ValueError(f"{file}: {line!r}: places are parts of the image's sides, 0 to 1")
    box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    return Region.of(box, _label(label_of, int(number)), is_relative=True)
