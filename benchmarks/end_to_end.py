"""From JPEG files to answers, against what a user would run instead.

    python -m benchmarks.end_to_end [one | eight | precision | defaults] ...

Random weights of the base size, 64 tokens an answer, on the CPU. Each table runs its contestants
in turn on the same images, each in a process of its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from benchmarks.contestants import Library, Ours, paint_files
from benchmarks.measuring import Prepare, add_cache, parser, processor, race, save
from benchmarks.random_models import checkpoint_folder
from florence_annotate.tasks import OD, OPEN_VOCABULARY
from florence_annotate.types import Question

TOKENS = 64
ONE = [Question(OD)]
EIGHT = [
    Question(OPEN_VOCABULARY, f"{colour} {shape}")
    for colour in ("red", "blue")
    for shape in ("star", "cross", "ellipse", "triangle")
]
LEFT_OUT = {
    "inference-models 0.39.6": "needs torchvision, of which no CPU build for this PyTorch was to "
    "be had; given a local folder it calls the same generate, on CPUs in bfloat16",
    "autodistill-florence-2 0.1.1": "needs flash-attn, which builds with CUDA alone, and loads "
    "nothing but one hub repository, with remote code, onto CUDA",
}
"""Peers that the tables lack."""


@dataclass(frozen=True)
class Work:
    """What a contestant is to do; what it needs to be loaded in a process of its own."""

    folder: Path
    files: Sequence[Path]
    questions: Sequence[Question]
    beams: int
    batch_size: int = 8
    dtype: torch.dtype = torch.float32

    def guide(self) -> Callable[[], int]:
        library = Library(self.folder, "cpu", self.dtype)
        return lambda: library.guide(self.files, self.questions, beams=self.beams, tokens=TOKENS)

    def batched(self) -> Callable[[], int]:
        library = Library(self.folder, "cpu", self.dtype)
        return lambda: library.batched(
            self.files,
            self.questions,
            beams=self.beams,
            tokens=TOKENS,
            batch_size=min(self.batch_size, len(self.files)),
        )

    def ours(self) -> Callable[[], int]:
        # a job forks its readers before it has memory that a fork copies; a turn of a race, after
        ours = Ours(self.folder, "cpu", self.dtype, workers=0)

        def run() -> int:
            return ours.run(
                self.files,
                self.questions,
                beams=self.beams,
                tokens=TOKENS,
                batch_size=self.batch_size,
            )

        run()  # the memory that is kept takes two batches to find its size: see model/memory.py
        return run


class Bench:
    """Files, a checkpoint, and how often."""

    def __init__(self, cache: Path, turns: int) -> None:
        self.folder = checkpoint_folder("base", cache)
        self.files = paint_files(cache / "pictures", 8)
        self.turns = turns

    def table(
        self,
        name: str,
        contestants: dict[str, Prepare],
        images: int,
        bars: list[tuple[str, str, float]],
    ) -> None:
        """Race, print and keep; `bars` are (slower, faster, least ratio)."""
        print(f"{name}: {images} images on {processor()}")
        timings = race(contestants, self.turns)
        for contestant, timing in timings.items():
            print(f"{contestant:40} {timing.median / images:8.3f} s an image")
        ratios = []
        for slower, faster, bar in bars:
            ratio = timings[slower].median / timings[faster].median
            print(f"{faster} is {ratio:.2f} times as fast as {slower} (bar {bar}), {processor()}")
            ratios.append(
                {"slower": slower, "faster": faster, "ratio": ratio, "bar": bar, "on": processor()}
            )
        save(
            f"end-to-end-{name}",
            f"python -m benchmarks.end_to_end {name.split('-')[0]} --turns {self.turns}",
            {
                "pictures": images,
                "tokens": TOKENS,
                "seconds": {contestant: timing.seconds for contestant, timing in timings.items()},
                "tokens written": {c: timing.written for c, timing in timings.items()},
                "ratios": ratios,
                "left out": LEFT_OUT,
            },
        )


def one(bench: Bench) -> None:
    greedy, beams = (Work(bench.folder, bench.files, ONE, beams) for beams in (1, 3))
    bench.table(
        "one",
        {
            "guide, 3 beams": beams.guide,
            "guide, 1 beam": greedy.guide,
            "transformers batched, 3 beams": beams.batched,
            "transformers batched, 1 beam": greedy.batched,
            "ours, 3 beams": beams.ours,
            "ours, 1 beam": greedy.ours,
        },
        len(bench.files),
        [
            ("transformers batched, 1 beam", "ours, 1 beam", 1.25),
            ("transformers batched, 3 beams", "ours, 3 beams", 1.25),
            ("guide, 1 beam", "ours, 1 beam", 1.5),
            ("guide, 3 beams", "ours, 3 beams", 2.2),
        ],
    )


def eight(bench: Bench) -> None:
    work = Work(bench.folder, bench.files[:4], EIGHT, 1)
    bench.table(
        "eight",
        {"transformers batched": work.batched, "ours": work.ours},
        len(work.files),
        [("transformers batched", "ours", 3.5)],
    )


def precision(bench: Bench) -> None:
    full = Work(bench.folder, bench.files, ONE, 1)
    half = replace(full, dtype=torch.bfloat16)
    bench.table(
        "precision",
        {
            "transformers batched, float32": full.batched,
            "transformers batched, bfloat16": half.batched,
            "float32": full.ours,
            "bfloat16": half.ours,
        },
        len(bench.files),
        [
            ("float32", "bfloat16", 2.4),
            ("transformers batched, float32", "bfloat16", 2.4),
            ("transformers batched, bfloat16", "bfloat16", 1.25),
        ],
    )


def defaults(bench: Bench) -> None:
    for name, questions, count, bar in (("one", ONE, 8, 5.0), ("eight", EIGHT, 1, 15.0)):
        guide = Work(bench.folder, bench.files[:count], questions, 3)
        bench.table(
            f"defaults-{name}",
            {
                "guide, as printed": guide.guide,
                "ours, defaults": replace(guide, dtype=torch.bfloat16).ours,
            },
            len(guide.files),
            [("guide, as printed", "ours, defaults", bar)],
        )


def main() -> None:
    tables = {"one": one, "eight": eight, "precision": precision, "defaults": defaults}
    options = parser("end_to_end", __doc__)
    options.add_argument("tables", nargs="*", metavar="|".join(tables), help="[default: all]")
    options.add_argument("--turns", type=int, default=3, help="of each contestant [default: 3]")
    add_cache(options)
    given = options.parse_args()
    if unknown := set(given.tables) - set(tables):
        options.error(f"there is no table {', '.join(sorted(unknown))}")
    bench = Bench(given.cache, given.turns)
    for table in given.tables or tables:
        tables[table](bench)


if __name__ == "__main__":
    main()
