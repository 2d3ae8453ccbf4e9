"""What users give for each picture beside the pictures: texts to ground, regions to ask about."""

import csv
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Generic, TypeVar

import yaml

from florence_annotate.errors import UsageError
from florence_annotate.types import Box, ImageRef

SIDECAR = "sidecar"
"""In the place of a file: a text beside each picture, with its name and the ending `.txt`."""

Region = tuple[Box, str | None]
"""A box in pixels of the upright picture, and its label where it has one."""

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class ByName(Generic[Value]):
    """Values by the names of pictures: a key, or the end of one where no other ends so."""

    values: Mapping[str, Value]
    none: Value
    source: Path

    def __call__(self, ref: ImageRef) -> Value:
        parts = PurePosixPath(ref.key).parts
        for start in range(len(parts)):
            found = self.values.get("/".join(parts[start:]))
            if found is not None:
                return found
        return self.none


def sidecar_text(ref: ImageRef) -> str | None:
    """The text in the `.txt` beside a picture; None where there is none."""
    path = os.path.splitext(ref.path)[0] + b".txt"
    try:
        with open(path, encoding="utf-8") as file:
            return " ".join(file.read().split()) or None
    except (OSError, UnicodeDecodeError):
        return None


def read_texts(file: Path) -> ByName[str | None]:
    """A CSV with the columns `image` and `text`. Raises UsageError for anything else."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            rows = list(csv.DictReader(opened))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"can't read the texts in {file}: {error}") from error
    if not rows or not {"image", "text"} <= rows[0].keys():
        raise UsageError(
            f"{file} needs the columns image and text, a header line and a row a picture; or give "
            f"--texts {SIDECAR} for a .txt beside each picture"
        )
    texts: dict[str, str | None] = {}
    for row in rows:
        name = (row["image"] or "").strip()
        if texts.setdefault(name, (row["text"] or "").strip()) != (row["text"] or "").strip():
            raise UsageError(f"{file} has two texts for {name!r}: keep one of them")
    return ByName(texts, None, file)


def read_regions(source: Path) -> ByName[Sequence[Region]]:
    """The boxes of a COCO file, or of a folder of YOLO labels. Raises UsageError."""
    if source.is_dir():
        return ByName(_read_yolo(source), (), source)
    try:
        return ByName(_read_coco(json.loads(source.read_text("utf-8"))), (), source)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"can't read the regions in {source} ({type(error).__name__}: {error}): give a COCO "
            "file with images, annotations and categories, or a YOLO folder with data.yaml"
        ) from error


def _read_coco(coco: Mapping[str, Any]) -> dict[str, list[Region]]:
    names = {image["id"]: str(image["file_name"]) for image in coco["images"]}
    categories = {one["id"]: str(one["name"]) for one in coco.get("categories", ())}
    regions: dict[str, list[Region]] = {name: [] for name in names.values()}
    for annotation in coco["annotations"]:
        x, y, width, height = map(float, annotation["bbox"])
        label = categories.get(annotation.get("category_id"))
        regions[names[annotation["image_id"]]].append(((x, y, x + width, y + height), label))
    return regions


def _read_yolo(folder: Path) -> dict[str, list[Region]]:
    """Boxes of `labels/…/name.txt`, in parts of the picture's sides, under `…/name`.

    The pictures' sizes are not known here, so they are read from `images/`, as YOLO's readers do.
    """
    from PIL import Image

    try:
        described = yaml.safe_load((folder / "data.yaml").read_text("utf-8"))
        names = described["names"]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise UsageError(
            f"{folder} is no YOLO folder: can't read its data.yaml: {error}"
        ) from error
    label_of = dict(enumerate(names)) if isinstance(names, list) else dict(names)
    regions: dict[str, list[Region]] = {}
    for file in sorted((folder / "images").rglob("*")):
        labels = folder / "labels" / file.relative_to(folder / "images").with_suffix(".txt")
        if not file.is_file() or not labels.is_file():
            continue
        with Image.open(file) as image:
            width, height = image.size
        name = PurePosixPath(*file.relative_to(folder / "images").parts[1:]).as_posix()
        regions[name] = []
        for line in labels.read_text("utf-8").splitlines():
            fields = line.split()
            if len(fields) != 5:
                raise UsageError(
                    f"{labels}: {line!r} is no box: a row is `class cx cy width height`"
                )
            centre_x, centre_y, w, h = map(float, fields[1:])
            x, y = centre_x * width, centre_y * height
            box = (x - w * width / 2, y - h * height / 2, x + w * width / 2, y + h * height / 2)
            regions[name].append((box, label_of.get(int(fields[0]))))
    return regions


def digest(source: str | None) -> str | None:
    """SHA-256 of what was given, so that a job is bound to it; None for sidecars and nothing."""
    if source is None or source == SIDECAR:
        return None
    path = Path(source)
    files = sorted(path.rglob("*.txt")) if path.is_dir() else [path]
    total = hashlib.sha256()
    for file in files:
        total.update(f"{file.name}\0".encode())
        total.update(file.read_bytes())
    return total.hexdigest()
