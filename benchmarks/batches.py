"""How often the number format, and the batch size in it, change an answer.

    python -m benchmarks.batches

The embedded checkpoint asked `<OD>` of 200 scenes in batches of 1, 8 and 32, and random weights of
the base size asked for 64 tokens about 8. In float32 no batch may change anything; in lower
precision a near tie between two tokens can fall the other way, and what follows it is another
answer.
"""

from itertools import combinations
from pathlib import Path
from typing import Any

import torch

from benchmarks.contestants import Ours, paint_files
from benchmarks.measuring import add_cache, parser, save
from benchmarks.random_models import checkpoint_folder
from florence_annotate.shapes import CHECKPOINT
from florence_annotate.tasks import OD
from florence_annotate.types import Generation, Question

SCENES, SIZES = 200, (1, 8, 32)
FEW = 8
Answers = dict[str, tuple[bytes, ...]]


def main() -> None:
    options = parser("batches", __doc__)
    add_cache(options)
    cache: Path = options.parse_args().cache
    files = paint_files(cache / "scenes", SCENES)
    embedded = compare(
        CHECKPOINT, files, SIZES, 128, (torch.float32, torch.bfloat16, torch.float16)
    )
    base = compare(
        checkpoint_folder("base", cache), files[:FEW], (1, 8), 64, (torch.float32, torch.bfloat16)
    )
    save("batches", "python -m benchmarks.batches", {"embedded": embedded, "base": base})


def compare(
    folder: Path,
    files: list[Path],
    sizes: tuple[int, ...],
    tokens: int,
    dtypes: tuple[torch.dtype, ...],
) -> dict[str, Any]:
    """Answers by each number format, in each batch size; the first format is what others meet."""
    generation = Generation(tokens, 1, 0, retry_truncated=False)
    rows: dict[str, Any] = {"answers": len(files)}
    full: Answers = {}
    for dtype in dtypes:
        ours = Ours(folder, "cpu", dtype)
        answers = {n: ours.answers(files, [Question(OD)], generation, n) for n in sizes}
        full = full or answers[8]
        name = str(dtype).removeprefix("torch.")
        rows[name] = {
            "changed between batches": {
                f"{a} and {b}": _changed(answers[a], answers[b]) for a, b in combinations(sizes, 2)
            },
            "other than in float32": _changed(answers[8], full),
            "same as in float32 up to": _same_part(answers[8], full),
        }
        print(f"{folder.name}, {name}: {rows[name]}")
    return rows


def _changed(some: Answers, others: Answers) -> int:
    return sum(some[key] != others[key] for key in some)


def _same_part(some: Answers, others: Answers) -> float:
    """The mean share of an answer's bytes before the first that differs."""
    shares = []
    for key in some:
        (a,), (b,) = some[key], others[key]
        same = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), len(a))
        shares.append(same / max(len(a), 1))
    return sum(shares) / len(shares)


if __name__ == "__main__":
    main()
