"""A folder of painted scenes with an exact ground truth, to try the program on.

The images lie flat in the folder as `scene-SEED.jpg`, and `ground-truth.json` beside them is a COCO
file that pycocotools loads. The same seed writes the same files.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from florence_annotate.errors import UsageError
from florence_annotate.shapes import SHAPES
from florence_annotate.shapes.scenes import Polygon, Scene, paint

FIRST_SEED = 2_000_000
"""Of demos, unless another is given: from one million on, the checkpoint has seen no scene."""

GROUND_TRUTH = "ground-truth.json"
_JPEG_QUALITY = 92


@dataclass(frozen=True, slots=True)
class Demo:
    """What was written."""

    directory: Path
    ground_truth: Path
    images: int
    """How many."""
    objects: int
    """How many, on all images together."""


def write_demo(directory: Path, count: int = 24, seed: int = FIRST_SEED) -> Demo:
    """Paint scenes with seeds from `seed` on into a folder, and write their ground truth.

    The folder is created where it does not exist. Raises UsageError for a folder that holds other
    files, for no scenes at all and for a seed below 0.
    """
    if count < 1 or seed < 0:
        raise UsageError(f"can't paint {count} scenes from seed {seed}: use 1 or more, from 0 on")
    names = {_name(number) for number in range(seed, seed + count)} | {GROUND_TRUTH}
    if directory.is_dir() and not {path.name for path in directory.iterdir()} <= names:
        raise UsageError(
            f"{directory} holds other files: choose a new or an empty folder, so that its ground "
            "truth is about all of its images"
        )
    directory.mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(1, count + 1):
        scene = paint(seed + number - 1)
        name = _name(scene.seed)
        # without chroma subsampling, which would smear the colour of small objects
        with _new(directory / name) as file:
            scene.image.save(file, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
        width, height = scene.image.size
        images.append({"id": number, "width": width, "height": height, "file_name": name})
        annotations += _annotations(scene, number, len(annotations) + 1)
    document = {
        "info": {
            "description": "Painted scenes of florence-annotate: exact ground truth",
            "version": "1.0",
            "first_seed": seed,
        },
        "licenses": [],
        "images": images,
        "annotations": annotations,
        "categories": [
            {"id": number, "name": shape, "supercategory": "shape"}
            for number, shape in enumerate(SHAPES, 1)
        ],
    }
    path = directory / GROUND_TRUTH
    with _new(path) as file:
        file.write((json.dumps(document, indent=1) + "\n").encode("utf-8"))
    return Demo(directory, path, len(images), len(annotations))


def _new(path: Path) -> BinaryIO:
    """A new file in the place of an earlier one; a link there leads to a file of somebody else."""
    path.unlink(missing_ok=True)
    return path.open("xb")


def _name(seed: int) -> str:
    return f"scene-{seed}.jpg"


def _annotations(scene: Scene, image_id: int, first_id: int) -> list[dict[str, Any]]:
    found = []
    for number, item in enumerate(scene.objects, first_id):
        x1, y1, x2, y2 = item.box
        found.append(
            {
                "id": number,
                "image_id": image_id,
                "category_id": SHAPES.index(item.shape) + 1,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": round(sum(polygon_area(p) for p in item.polygons), 2),
                "iscrowd": 0,
                "segmentation": [[round(v, 2) for v in p] for p in item.polygons],
                "colour": item.colour,
            }
        )
    return found


def polygon_area(polygon: Polygon) -> float:
    """Shoelace formula; in square pixels."""
    xs, ys = polygon[0::2], polygon[1::2]
    following = zip(xs[1:] + xs[:1], ys[1:] + ys[:1], strict=True)
    corners = zip(xs, ys, following, strict=True)
    return 0.5 * abs(sum(x * next_y - next_x * y for x, y, (next_x, next_y) in corners))
