"""How well each way to score a box ranks boxes, and how far its numbers are probabilities.

    python -m benchmarks.scores [--first 6000000]

The embedded checkpoint through the whole command, on painted scenes of four kinds: plain ones,
crowded ones and large ones in tiles, asked `<OD>`; and plain ones asked by name for each of the 40
colours and shapes, of which most are absent. A box is right where an object of its label has an
IoU of 0.5 or more with it. For each way to score: average precision, area under the ROC curve,
expected calibration error in 10 bins, Brier score, and the part of the right boxes that a threshold
of 0.5 removes. Tolerance and power of the
score were chosen on seeds from 5,000,000 on.
"""

import math
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial, reduce
from operator import add, mul
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from benchmarks.measuring import parser, save
from florence_annotate.answers import reading, scores
from florence_annotate.answers.refinement import refined_box
from florence_annotate.evaluation.average_precision import Scored, average_precision
from florence_annotate.geometry.boxes import iou
from florence_annotate.journal import Journal
from florence_annotate.shapes import COLOURS, SHAPES
from florence_annotate.shapes.scenes import Scene, SceneObject, paint, paint_large
from florence_annotate.types import Box, Evidence, Instance, Record

RIGHT = 0.5
"""The least IoU of a box that is right."""
BARS = {"calibration error": 0.06, "right boxes lost at 0.5": 0.03}
RELATIVE = (0.02, 0.05, 0.1, 0.15, 0.2)
"""Parts of the box's side."""
ABSOLUTE = (5, 10, 20, 30, 50)
"""Bins."""
OURS, BEFORE = "the score", "geometric mean, as before"
Score = Callable[[Evidence], float]


def by_shape(item: SceneObject) -> str:
    return item.shape


def by_phrase(item: SceneObject) -> str:
    return f"{item.colour} {item.shape}"


def _always(bins: float) -> Callable[[float], float]:
    return lambda side: bins


PHRASES = ",".join(f"{colour} {shape}" for colour in COLOURS for shape in SHAPES)


@dataclass(frozen=True)
class Scenes:
    """Scenes that are asked in one way."""

    offset: int
    """Of their seeds."""
    count: int
    paint: Callable[[int], Scene]
    name_of: Callable[[SceneObject], str] = by_shape
    options: tuple[str, ...] = ()


CROWDED = Scenes(100_000, 300, partial(paint, min_objects=9, max_objects=16))
LARGE = Scenes(200_000, 20, paint_large, options=("--tiles", "768"))
BY_NAME = ("--classes", PHRASES, "--strategy", "open-vocabulary")
KINDS: dict[str, tuple[Scenes, ...]] = {
    "plain": (Scenes(0, 2_000, paint),),
    "hard": (CROWDED, LARGE),
    "by name": (Scenes(300_000, 300, paint, by_phrase, BY_NAME),),
    "crowded, of the hard": (CROWDED,),
    "large in tiles, of the hard": (LARGE,),
}


def _mass(tolerance: Callable[[float], float], evidence: Evidence) -> float:
    masses = scores.edge_masses(evidence, tolerance)
    return scores.label_probability(evidence) * math.prod(masses)


WAYS: dict[str, Score] = {
    "constant": lambda evidence: 1.0,
    "label alone": scores.label_probability,
    "locations alone": lambda evidence: math.exp(sum(evidence.location_logprobs)),
    "Microsoft's, by label": lambda evidence: scores.geometric_mean(evidence.label_logprobs),
    "Microsoft's, by box": lambda evidence: scores.geometric_mean(evidence.location_logprobs),
    BEFORE: lambda evidence: scores.score(evidence._replace(spreads=b"")),
    **{f"mass within {bins} bins": partial(_mass, _always(bins)) for bins in ABSOLUTE},
    **{f"mass within {part} of the side": partial(_mass, partial(mul, part)) for part in RELATIVE},
    OURS: scores.score,
}
"""Name → what a box is scored by."""


@dataclass(frozen=True)
class Found:
    """The boxes on scenes of a kind, and what is true of them."""

    true: list[Scored]
    instances: list[tuple[int, Instance]]
    """With the id of their image."""
    refined: list[Box]
    """Their boxes with refined edges."""

    def __add__(self, other: Self) -> Self:
        return type(self)(
            self.true + other.true,
            self.instances + other.instances,
            self.refined + other.refined,
        )

    def is_right(self) -> npt.NDArray[np.bool_]:
        """For each instance whether a true box of its label is where it is."""
        by_image: dict[int, list[Scored]] = {}
        for one in self.true:
            by_image.setdefault(one.image, []).append(one)
        return np.array(
            [
                any(
                    one.category == instance.label and iou(one.box, instance.box) >= RIGHT
                    for one in by_image.get(image, ())
                )
                for image, instance in self.instances
            ]
        )

    def precision(self, values: Sequence[float], boxes: Sequence[Box] | None = None) -> float:
        """Average precision over IoU 0.50 to 0.95, with these scores, and with these boxes instead
        of their own."""
        found = [
            Scored(image, instance.label, box, value)
            for (image, instance), box, value in zip(
                self.instances, boxes or [one.box for _, one in self.instances], values, strict=True
            )
        ]
        names = sorted({one.category for one in self.true})
        images = sorted({one.image for one in self.true})
        return average_precision(names, images, self.true, found)[1]


Pair = tuple[Found, Found]
"""The boxes on some scenes, and the same as a job of before has them."""


@cache
def annotate(kind: Scenes, first: int) -> Pair:
    """Through the whole command."""
    with TemporaryDirectory() as name:
        return _annotate(kind, first + kind.offset, Path(name))


def _annotate(kind: Scenes, first: int, folder: Path) -> Pair:
    (folder / "in").mkdir()
    true = []
    for seed in range(first, first + kind.count):
        scene = kind.paint(seed)
        scene.image.save(folder / "in" / f"{seed}.jpg", quality=92, subsampling=0)
        true += [Scored(seed, kind.name_of(item), item.box, 1.0) for item in scene.objects]
    command = ["run", folder / "in", "-o", folder / "out", "--model", "shapes", "--quiet"]
    command += ["--format", "jsonl", "--images", "none", "--batch-size", "32", *kind.options]
    subprocess.run([sys.executable, "-m", "florence_annotate", *map(str, command)], check=True)
    with Journal.open_existing(folder / "out") as journal:
        records = list(journal.records())
    before = [
        replace(record, answers=tuple(replace(one, spreads=b"") for one in record.answers))
        for record in records
    ]
    return _found(true, records), _found(true, before)


def _found(true: list[Scored], records: Sequence[Record]) -> Found:
    found = Found(true, [], [])
    for record in records:
        for instance in reading.read(record).instances:
            found.instances.append((int(record.ref.key.removesuffix(".jpg")), instance))
            found.refined.append(refined_box(instance, record.width, record.height))
    return found


def measure(values: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]) -> dict[str, float]:
    """What is told of a way to score, but for average precision."""
    bins = np.minimum((values * 10).astype(int), 9)
    error = sum(
        abs(float(values[bins == index].mean() - right[bins == index].mean()))
        * float((bins == index).mean())
        for index in set(bins.tolist())
    )
    good, bad = values[right], values[~right]
    area = (good[:, None] > bad).mean() + (good[:, None] == bad).mean() / 2
    return {
        "area under ROC": float(area),
        "calibration error": error,
        "Brier": float(((values - right) ** 2).mean()),
        "right boxes lost at 0.5": float((good < 0.5).mean()),
    }


def compare(found: Found, before: Found) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """A row for each way to score, and what is told of the boxes."""
    right = found.is_right()
    rows = {}
    for way, score in WAYS.items():
        values = [score(one.evidence) for _, one in found.instances if one.evidence]
        rows[way] = {"AP": found.precision(values), **measure(np.array(values), right)}
    # in tiles, scores decide which view of a thing is kept: a job of before keeps its own
    rows[BEFORE]["AP"] = before.precision([one.score for _, one in before.instances])
    share = float(right.mean())
    about = {
        "boxes": len(right),
        "right": share,
        "Brier of the best constant": share * (1 - share),
        "AP with refined boxes": found.precision(
            [one.score for _, one in found.instances], found.refined
        ),
    }
    return rows, about


def misses(rows: Mapping[str, Mapping[str, float]], about: Mapping[str, float]) -> list[str]:
    """The bars that the score misses on scenes of a kind."""
    ours = rows[OURS]
    missed = [name for name, bar in BARS.items() if ours[name] > bar]
    if ours["Brier"] >= about["Brier of the best constant"]:
        missed.append("Brier")
    return missed + (["AP"] if ours["AP"] < rows[BEFORE]["AP"] else [])


def table(
    name: str, rows: Mapping[str, Mapping[str, float]], about: Mapping[str, float]
) -> Iterator[str]:
    """Lines in Markdown."""
    told = ", ".join(f"{key} {value:.4g}" for key, value in about.items())
    yield f"\n{name}: {told}\n"
    yield f"| {' | '.join(['', *rows[OURS]])} |"
    yield "| --- |" + " --- |" * len(rows[OURS])
    for way, row in rows.items():
        yield f"| {' | '.join([way, *(f'{value:.3f}' for value in row.values())])} |"


def main() -> int:
    options = parser("scores", __doc__)
    options.add_argument("--first", type=int, default=6_000_000, help="seed [default: 6000000]")
    given = options.parse_args()
    content: dict[str, Any] = {"first seed": given.first, "bars": BARS}
    missed = []
    for name, parts in KINDS.items():
        pairs = [annotate(scenes, given.first) for scenes in parts]
        rows, about = compare(*(reduce(add, founds) for founds in zip(*pairs, strict=True)))
        if "of the" not in name:
            missed += [f"{name}: {miss}" for miss in misses(rows, about)]
        about["scenes"] = sum(scenes.count for scenes in parts)
        content[name] = {**about, "ways": rows}
        print("\n".join(table(name, rows, about)), flush=True)
    print(f"\nbars missed: {'; '.join(missed) or 'none'}")
    save("scores", f"python -m benchmarks.scores --first {given.first}", content)
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
