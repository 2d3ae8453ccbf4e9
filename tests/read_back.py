"""Exported files as the readers of users give them, and what they are compared with."""

import contextlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import supervision as sv
from conftest import tree
from pycocotools.coco import COCO

import florence_annotate
from florence_annotate.dataset.annotated_image import AnnotatedImage
from florence_annotate.formats.staging import name_of_content
from florence_annotate.journal import Journal

ALL = "voc,labelme,label-studio,cvat,parquet,imagefolder"
"""Formats beside YOLO and COCO."""

Objects = list[tuple[int, tuple[float, ...]]]
"""Class ids and boxes, sorted."""


def annotated_images(out: Path) -> dict[str, AnnotatedImage]:
    """What the API reads from the journal, by key: the reference for every reader."""
    return {image.ref.key: image for image in florence_annotate.open_dataset(out)}


def objects_of(image: AnnotatedImage) -> Objects:
    return sorted((one.class_id, one.box) for one in image.instances)


def assert_same(found: Objects, wanted: Objects, tolerance: float) -> None:
    assert [class_id for class_id, _ in found] == [class_id for class_id, _ in wanted]
    if wanted:
        assert np.allclose([b for _, b in found], [b for _, b in wanted], atol=tolerance)


def with_class_ids(
    detections: sv.Detections, classes: Sequence[str], names: Sequence[str]
) -> Objects:
    """Detections with the class ids of the job: readers number classes as they meet them."""
    ids = [names.index(classes[class_id]) for class_id in detections.class_id]
    return list(zip(ids, map(tuple, detections.xyxy.tolist()), strict=True))


def hub_objects(row: Any) -> Objects:
    """The objects of a row of Parquet or of an image folder."""
    found = []
    for category, (x, y, width, height) in zip(
        row["objects"]["category"], row["objects"]["bbox"], strict=True
    ):
        found.append((category, (x, y, x + width, y + height)))
    return sorted(found)


def read_coco(file: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(file))


def image_names(out: Path) -> list[str]:
    """The names of the images in the COCO files, sorted."""
    found: list[str] = []
    for file in sorted((out / "annotations").glob("*.json")):
        found += [image["file_name"] for image in json.loads(file.read_text())["images"]]
    return sorted(found)


def numbered(out: Path) -> dict[str, tuple[int, str, str]]:
    """Key → COCO's id, the split and the name of each image."""
    found = {}
    for file in (out / "annotations").glob("instances_*.json"):
        split = file.stem.partition("_")[2]
        for row in json.loads(file.read_text())["images"]:
            found[row["key"]] = (row["id"], split, row["file_name"])
    return found


def assert_noted(journal: Journal) -> None:
    """The journal knows all files as they lie there."""
    noted = dict(journal.exports.files.each())
    out = journal.path.parent
    assert noted.keys() == tree(out).keys()
    for path, file in noted.items():
        status = (out / path).lstat()
        assert (file.size_bytes, file.mtime_ns) == (status.st_size, status.st_mtime_ns)
        assert file.content == name_of_content(out / path)
