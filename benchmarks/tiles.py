"""Recall of small shapes in images of 3,000 pixels, without tiles and with them.

python -m benchmarks.tiles [--count 20]
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measuring import parser, save
from florence_annotate.geometry.boxes import iou
from florence_annotate.shapes.scenes import Scene, paint_large

FIRST_SEED = 2_200_000
BAR = 1.5
TILES = ("768",)


def main() -> int:
    options = parser("tiles", __doc__)
    options.add_argument("--count", type=int, default=20, help="images [default: 20]")
    options.add_argument("--model", default="shapes", help="checkpoint [default: shapes]")
    given = options.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        scenes = [paint_large(FIRST_SEED + number) for number in range(given.count)]
        for scene in scenes:
            scene.image.save(folder / "in" / f"{scene.seed}.jpg", quality=92)
        content: dict[str, object] = {"pictures": given.count, "bar": BAR}
        results = []
        for ways in ((), ("--tiles", *TILES)):
            out = folder / f"out{len(ways)}"
            figures = measure(folder / "in", out, ways, scenes, given.model)
            results.append(figures)
            content[" ".join(ways) or "whole"] = figures
            print(f"{' '.join(ways) or 'whole'}: {figures}")
    command = f"python -m benchmarks.tiles --count {given.count} --model {given.model}"
    save("tiles", command, content)
    whole, tiled = (figures["recall"] for figures in results)
    return 0 if tiled >= BAR * whole else 1


def measure(
    images: Path, out: Path, options: Sequence[str], scenes: Sequence[Scene], model: str
) -> dict[str, float]:
    """Part of the shapes with a box of their name at IoU 0.5; how many have two boxes there, of
    whatever name; and how many boxes have no shape there."""
    command = ["run", images, "-o", out, "--model", model, "--quiet", "--format", "jsonl"]
    whole = [sys.executable, "-m", "florence_annotate", *command, "--images", "none", *options]
    subprocess.run(list(map(str, whole)), check=True)
    lines = (out / "annotations.jsonl").read_text("utf-8").splitlines()
    rows = {row["key"]: row["instances"] for row in map(json.loads, lines)}
    total = found = doubled = elsewhere = 0
    for scene in scenes:
        boxes = [(one["class"], tuple(one["box"])) for one in rows[f"{scene.seed}.jpg"]]
        elsewhere += sum(
            all(iou(box, item.box) < 0.5 for item in scene.objects) for _, box in boxes
        )
        for item in scene.objects:
            names = [name for name, box in boxes if iou(box, item.box) >= 0.5]
            total += 1
            found += item.shape in names
            doubled += len(names) > 1
    recall = round(found / total, 4)
    return {"recall": recall, "found twice": doubled, "boxes elsewhere": elsewhere}


if __name__ == "__main__":
    raise SystemExit(main())
