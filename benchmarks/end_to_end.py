"""From JPEG files to answers, against what a user would run instead.

    python -m benchmarks.end_to_end [one | eight | precision | defaults] ...

Random weights of the base size, 64 tokens an answer, on the CPU. Each table runs its contestants
in turn on the same pictures, in one process.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.contestants import Library, Ours, paint_files
from benchmarks.measuring import race, save
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


class Bench:
    """Files and models, loaded when they are first needed."""

    def __init__(self, cache: Path, turns: int) -> None:
        self.folder = checkpoint_folder("base", cache)
        self.files = paint_files(cache / "pictures", 8)
        self.turns = turns

    def library(self, dtype: torch.dtype = torch.float32) -> Library:
        return Library(self.folder, "cpu", dtype)

    def ours(self, dtype: torch.dtype = torch.float32) -> Ours:
        return Ours(self.folder, "cpu", dtype)

    def table(
        self,
        name: str,
        contestants: dict[str, Callable[[], object]],
        pictures: int,
        bars: list[tuple[str, str, float]],
    ) -> None:
        """Race, print and keep; `bars` are (slower, faster, least ratio)."""
        print(f"{name}: {pictures} pictures")
        timings = race(contestants, self.turns)
        for contestant, timing in timings.items():
            print(f"{contestant:40} {timing.median / pictures:8.3f} s a picture")
        ratios = []
        for slower, faster, bar in bars:
            ratio = timings[slower].median / timings[faster].median
            print(f"{faster} is {ratio:.2f} times as fast as {slower} (bar {bar})")
            ratios.append({"slower": slower, "faster": faster, "ratio": ratio, "bar": bar})
        save(
            f"end-to-end-{name}",
            f"python -m benchmarks.end_to_end {name}",
            {
                "pictures": pictures,
                "tokens": TOKENS,
                "seconds": {contestant: timing.seconds for contestant, timing in timings.items()},
                "ratios": ratios,
            },
        )


def one(bench: Bench) -> None:
    library, ours, files = bench.library(), bench.ours(), bench.files
    bench.table(
        "one",
        {
            "guide, 3 beams": lambda: library.guide(files, ONE, beams=3, tokens=TOKENS),
            "guide, 1 beam": lambda: library.guide(files, ONE, beams=1, tokens=TOKENS),
            "transformers batched, 3 beams": lambda: library.batched(
                files, ONE, beams=3, tokens=TOKENS, batch_size=8
            ),
            "transformers batched, 1 beam": lambda: library.batched(
                files, ONE, beams=1, tokens=TOKENS, batch_size=8
            ),
            "ours, 3 beams": lambda: ours.run(files, ONE, beams=3, tokens=TOKENS, batch_size=8),
            "ours, 1 beam": lambda: ours.run(files, ONE, beams=1, tokens=TOKENS, batch_size=8),
        },
        len(files),
        [
            ("transformers batched, 1 beam", "ours, 1 beam", 1.25),
            ("guide, 1 beam", "ours, 1 beam", 1.5),
            ("guide, 3 beams", "ours, 3 beams", 2.2),
        ],
    )


def eight(bench: Bench) -> None:
    library, ours, files = bench.library(), bench.ours(), bench.files[:4]
    bench.table(
        "eight",
        {
            "transformers batched": lambda: library.batched(
                files, EIGHT, beams=1, tokens=TOKENS, batch_size=4
            ),
            "ours": lambda: ours.run(files, EIGHT, beams=1, tokens=TOKENS, batch_size=8),
        },
        len(files),
        [("transformers batched", "ours", 3.5)],
    )


def precision(bench: Bench) -> None:
    full, half, files = bench.ours(), bench.ours(torch.bfloat16), bench.files
    bench.table(
        "precision",
        {
            "float32": lambda: full.run(files, ONE, beams=1, tokens=TOKENS, batch_size=8),
            "bfloat16": lambda: half.run(files, ONE, beams=1, tokens=TOKENS, batch_size=8),
        },
        len(files),
        [("float32", "bfloat16", 2.4)],
    )


def defaults(bench: Bench) -> None:
    library, ours, files = bench.library(), bench.ours(torch.bfloat16), bench.files[:2]
    for name, questions, bar in (("one", ONE, 5.0), ("eight", EIGHT, 15.0)):

        def guide(questions: list[Question] = questions) -> int:
            return library.guide(files, questions, beams=3, tokens=TOKENS)

        def run(questions: list[Question] = questions) -> int:
            return ours.run(files, questions, beams=3, tokens=TOKENS, batch_size=8)

        bench.table(
            f"defaults-{name}",
            {"guide, as printed": guide, "ours, defaults": run},
            len(files),
            [("guide, as printed", "ours, defaults", bar)],
        )


def main() -> None:
    tables = {"one": one, "eight": eight, "precision": precision, "defaults": defaults}
    parser = argparse.ArgumentParser(prog="python -m benchmarks.end_to_end")
    parser.add_argument("tables", nargs="*", choices=[*tables, []], default=list(tables))
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "florence-annotate")
    given = parser.parse_args()
    bench = Bench(given.cache, given.turns)
    for table in given.tables:
        tables[table](bench)


if __name__ == "__main__":
    main()
