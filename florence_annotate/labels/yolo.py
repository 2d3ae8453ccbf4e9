"""Labels in a YOLO folder: https://docs.ultralytics.com/datasets/detect/#ultralytics-yolo-format
and, for outlines, https://docs.ultralytics.com/datasets/segment/."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from florence_annotate.labels.given import (
    GivenImage,
    GivenLabels,
    GivenObject,
    Region,
    class_name,
    files_below,
    small_text,
)
from florence_annotate.user_yaml import parse_yaml

DATA = "data.yaml"
_NO_BOX = "it is no box, class cx cy width height"


def read_yolo(folder: Path) -> GivenLabels:
    """The objects of `labels/<split>/…/name.txt`, by the name `<split>/…/name`.

    Where there is no `labels/`, they are those of `<split>/labels/…/name.txt`, as Roboflow lays
    them out. Raises UnreadableFileError, OSError, ValueError, KeyError or TypeError for what is
    none.
    """
    said = parse_yaml(small_text(folder / DATA))
    if not isinstance(said, dict) or not isinstance(said.get("names"), list | dict):
        raise ValueError(f"{DATA} has no names of the classes")
    names = said["names"]
    if not label_folders(folder):
        raise ValueError(f"{DATA} has no folder labels beside it")
    labels: Mapping[Any, Any] = dict(enumerate(names)) if isinstance(names, list) else names
    images = [
        GivenImage(
            _name(file.relative_to(folder)),
            tuple(_object(line, labels, file) for line in _lines(file)),
        )
        for file in label_files(folder)
    ]
    return GivenLabels(folder, tuple(images), tuple(map(str, labels.values())), False)


def label_files(folder: Path) -> list[Path]:
    """The files of labels of a YOLO folder, in order. Raises OSError for what can't be listed."""
    tops = label_folders(folder) or [folder / "labels"]
    return [file for top in tops for file in files_below(top, ".txt")]


def label_folders(folder: Path) -> list[Path]:
    """Where a YOLO folder has its labels; empty for what is none."""
    whole = folder / "labels"
    return [whole] if whole.is_dir() else sorted(folder.glob("*/labels"))


def _name(file: Path) -> str:
    parts = list(file.with_suffix("").parts)
    parts.remove("labels")
    return str(PurePosixPath(*parts))


def _lines(file: Path) -> list[str]:
    return [line for line in small_text(file).splitlines() if line.strip()]


def _object(line: str, labels: Mapping[Any, Any], file: Path) -> GivenObject:
    try:
        return _parse_row(line, labels)
    except ValueError as error:
        raise ValueError(f"{file}: {line[:80]!r}: {error}") from error


def _parse_row(line: str, labels: Mapping[Any, Any]) -> GivenObject:
    first, *others = line.split()
    try:
        number, places = int(first), tuple(map(float, others))
    except ValueError as error:
        raise ValueError(_NO_BOX) from error
    is_outline = len(places) >= 6 and len(places) % 2 == 0
    if len(places) != 4 and not is_outline:
        raise ValueError(_NO_BOX)
    if not all(0 <= value <= 1 for value in places):
        raise ValueError("places are parts of the image's sides, 0 to 1")
    label = class_name(labels, number)
    if is_outline:
        xs, ys = places[0::2], places[1::2]
        box = (min(xs), min(ys), max(xs), max(ys))
        return GivenObject(Region.of(box, label, is_relative=True), mask=(places,))
    x, y, width, height = places
    box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    return GivenObject(Region.of(box, label, is_relative=True))
