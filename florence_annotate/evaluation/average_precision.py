"""Hold a dataset of scenes against their ground truth: average precision by pycocotools.

`python -m florence_annotate.evaluation.average_precision DATASET GROUND_TRUTH [--by …] [--json]`
reads every ``DATASET/annotations/instances_*.json``, all splits together, and matches images by
their base name and categories by name. Images that the dataset lacks count as having no boxes.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from florence_annotate.errors import FlorenceAnnotateError, SourceError

Box = tuple[float, float, float, float]
By = Literal["shape", "colour-shape"]


@dataclass(frozen=True, slots=True)
class Scored:
    """A box of a category on an image: ``xyxy``, with the score of a found one."""

    image: int
    category: str
    box: Box
    score: float


def average_precision(
    categories: Iterable[str],
    images: Iterable[int],
    true: Iterable[Scored],
    found: Iterable[Scored],
) -> tuple[float, float]:
    """AP50 and AP (0.50:0.95) over the categories that have true boxes.

    Args:
        categories: Names of the categories; boxes of others are left out.
        images: Ids of all images, those without boxes too.
        true: The ground truth.
        found: What was found; at most 100 boxes of a category and image count.

    Returns:
        ``(AP50, AP)``, each 0 to 1.
    """
    ids = {name: number for number, name in enumerate(categories, 1)}
    pictures = [{"id": image} for image in images]
    kinds = [{"id": number, "name": name} for name, number in ids.items()]
    with contextlib.redirect_stdout(io.StringIO()):
        truth, result = COCO(), COCO()
        for coco, boxes in ((truth, true), (result, found)):
            coco.dataset = {
                "images": pictures,
                "categories": kinds,
                "annotations": [
                    _annotation(number, box, ids[box.category])
                    for number, box in enumerate((b for b in boxes if b.category in ids), 1)
                ],
            }
            coco.createIndex()
        evaluation = COCOeval(truth, result, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return max(0.0, float(evaluation.stats[1])), max(0.0, float(evaluation.stats[0]))


def _annotation(number: int, scored: Scored, category: int) -> dict[str, Any]:
    x1, y1, x2, y2 = scored.box
    return {
        "id": number,
        "image_id": scored.image,
        "category_id": category,
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": (x2 - x1) * (y2 - y1),
        "iscrowd": 0,
        "score": scored.score,
    }


def score(dataset: Path, ground_truth: Path, by: By = "shape") -> dict[str, float | int]:
    """Measure a dataset.

    Args:
        dataset: The output folder that holds ``annotations/instances_*.json``.
        ground_truth: The ``ground-truth.json`` of the scenes.
        by: With ``colour-shape``, the categories are such as ``red star``.

    Returns:
        ``ap50``, ``ap``, and the numbers of ``images``, ``true`` and ``found`` boxes.

    Raises:
        SourceError: If there is nothing to read, or an image is not in the ground truth.
    """
    truth = json.loads(ground_truth.read_text(encoding="utf-8"))
    images = {PurePosixPath(image["file_name"]).name: image["id"] for image in truth["images"]}
    true = _boxes(truth, {i: i for i in images.values()}, by_colour=by == "colour-shape")
    files = sorted((dataset / "annotations").glob("instances_*.json"))
    if not files:
        raise SourceError(f"{dataset} has no annotations/instances_*.json: export it as coco first")
    found: list[Scored] = []
    for file in files:
        split = json.loads(file.read_text(encoding="utf-8"))
        ids: dict[int, int] = {}
        for image in split["images"]:
            name = PurePosixPath(image["file_name"]).name
            if name not in images:
                raise SourceError(f"{file}: {name} is not in {ground_truth}: is it the right one?")
            ids[image["id"]] = images[name]
        found += _boxes(split, ids, by_colour=False)
    categories = sorted({box.category for box in true})
    ap50, ap = average_precision(categories, images.values(), true, found)
    return {
        "ap50": round(ap50, 4),
        "ap": round(ap, 4),
        "images": len(images),
        "true": len(true),
        "found": len(found),
    }


def _boxes(coco: dict[str, Any], images: dict[int, int], by_colour: bool) -> list[Scored]:
    names = {category["id"]: category["name"] for category in coco["categories"]}
    boxes = []
    for annotation in coco["annotations"]:
        x, y, width, height = annotation["bbox"]
        name = names[annotation["category_id"]]
        if by_colour:
            name = f"{annotation['colour']} {name}"
        boxes.append(
            Scored(
                images[annotation["image_id"]],
                name,
                (x, y, x + width, y + height),
                float(annotation.get("score", 1.0)),
            )
        )
    return boxes


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; see the module's docstring."""
    parser = argparse.ArgumentParser(
        prog="python -m florence_annotate.evaluation.average_precision",
        description="Average precision of an exported dataset of painted scenes.",
    )
    parser.add_argument("dataset", type=Path, help="folder with annotations/instances_*.json")
    parser.add_argument("ground_truth", type=Path, help="ground-truth.json of the scenes")
    parser.add_argument("--by", choices=("shape", "colour-shape"), default="shape")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    try:
        result = score(options.dataset, options.ground_truth, options.by)
    except (OSError, ValueError, KeyError, FlorenceAnnotateError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(result))
    else:
        print(f"AP50 {result['ap50']:.3f}   AP {result['ap']:.3f}")
        print(f"{result['found']} boxes found, {result['true']} true, {result['images']} images")
    return 0


if __name__ == "__main__":
    sys.exit(main())
