"""Recall of small shapes in pictures of 3,000 pixels, without tiles and with them.

python -m benchmarks.tiles [--count 20]
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measuring import parser, save
from florence_annotate.boxes import iou
from florence_annotate.shapes.scenes import Scene, paint_large

FIRST_SEED = 2_200_000
BAR = 1.5
TILES = ("768",)


def main() -> None:
    options = parser("tiles", __doc__)
    options.add_argument("--count", type=int, default=20, help="pictures [default: 20]")
    options.add_argument("--model", default="shapes", help="checkpoint [default: shapes]")
    given = options.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        scenes = [paint_large(FIRST_SEED + number) for number in range(given.count)]
        for scene in scenes:
            scene.image.save(folder / "in" / f"{scene.seed}.jpg", quality=92)
        content = {"pictures": given.count, "bar": BAR}
        for ways in ((), ("--tiles", *TILES)):
            out = folder / f"out{len(ways)}"
            recall, doubled = measure(folder / "in", out, ways, scenes, given.model)
            print(f"{' '.join(ways) or 'whole'}: recall {recall:.3f}, found twice {doubled}")
            content[" ".join(ways) or "whole"] = {"recall": recall, "found twice": doubled}
    save("tiles", f"python -m benchmarks.tiles --count {given.count}", content)


def measure(
    pictures: Path, out: Path, options: Sequence[str], scenes: Sequence[Scene], model: str
) -> tuple[float, int]:
    """Part of the shapes with a box of their name at IoU 0.5; and how many have two."""
    command = ["run", pictures, "-o", out, "--model", model, "--quiet", "--format", "jsonl"]
    whole = [sys.executable, "-m", "florence_annotate", *command, "--images", "none", *options]
    subprocess.run(list(map(str, whole)), check=True)
    lines = (out / "annotations.jsonl").read_text("utf-8").splitlines()
    rows = {row["key"]: row["instances"] for row in map(json.loads, lines)}
    total = found = doubled = 0
    for scene in scenes:
        for item in scene.objects:
            hits = sum(
                one["class"] == item.shape and iou(tuple(one["box"]), item.box) >= 0.5
                for one in rows[f"{scene.seed}.jpg"]
            )
            total, found, doubled = total + 1, found + (hits > 0), doubled + (hits > 1)
    return found / total, doubled


if __name__ == "__main__":
    main()
