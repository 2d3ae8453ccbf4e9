"""Average precision (AP) of the boxes of a dataset, by pycocotools.

`python -m florence_annotate.evaluation.average_precision DATASET GROUND_TRUTH [--by …] [--json]`
compares an exported dataset of painted scenes with what is true of them. It reads every
`DATASET/annotations/instances_*.json`, all splits together, and matches images by their file names
without folders and categories by their names. An image that the dataset lacks counts as one
without boxes.
"""

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
from florence_annotate.types import Box
from florence_annotate.user_files import LARGE, UnreadableFileError, parse_json, read_text

By = Literal["shape", "colour-shape"]
"""What the categories are: `star`, or `red star`."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A box on an image, true or found."""

    image: int
    """Id of the image."""
    category: str
    box: Box
    score: float
    """Of a found box, in [0, 1]; of a true one it does not matter."""


def average_precision(
    categories: Iterable[str],
    images: Iterable[int],
    true: Iterable[Scored],
    found: Iterable[Scored],
) -> tuple[float, float]:
    """AP50 and AP (the mean over IoU 0.50 to 0.95), each 0 to 1.

    `images` are the ids of all images, also of those without boxes. Boxes of other categories are
    left out, and so are categories without true boxes. Of a category, the 100 found boxes of an
    image with the highest scores count.
    """
    ids = {name: number for number, name in enumerate(categories, 1)}
    all_images = [{"id": image} for image in images]
    kinds = [{"id": number, "name": name} for name, number in ids.items()]
    with contextlib.redirect_stdout(io.StringIO()):
        truth, result = COCO(), COCO()
        for coco, boxes in ((truth, true), (result, found)):
            coco.dataset = {
                "images": all_images,
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
    """How good the boxes of an exported dataset are.

    Gives `ap50`, `ap`, and the numbers of `images`, of `true` and of `found` boxes. Raises
    SourceError where the dataset has no COCO files, one can't be read, or the ground truth lacks
    an image.
    """
    truth = _read(ground_truth)
    images = {PurePosixPath(image["file_name"]).name: image["id"] for image in truth["images"]}
    true = _boxes(truth, {i: i for i in images.values()}, by_colour=by == "colour-shape")
    files = sorted((dataset / "annotations").glob("instances_*.json"))
    if not files:
        raise SourceError(f"{dataset} has no annotations/instances_*.json: export it as coco first")
    found: list[Scored] = []
    for file in files:
        split = _read(file)
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


def _read(file: Path) -> Any:
    try:
        return parse_json(read_text(file, LARGE))
    except UnreadableFileError as error:
        raise SourceError(f"can't read {file}: {error}; give a COCO file") from error


def _boxes(coco: dict[str, Any], images: dict[int, int], by_colour: bool) -> list[Scored]:
    """The boxes of a COCO file; `images` gives for its image ids those of the ground truth."""
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
    """The command; see above."""
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
