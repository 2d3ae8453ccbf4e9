"""How often the batch size changes an answer, by number format.

    python -m benchmarks.batches

The embedded checkpoint asked `<OD>` of 200 scenes in batches of 1, 8 and 32. In float32 nothing
may change; in lower precision a near tie between two tokens can fall the other way.
"""

from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks.contestants import Ours, paint_files
from benchmarks.measuring import save
from florence_annotate.shapes import CHECKPOINT
from florence_annotate.tasks import OD
from florence_annotate.types import Generation, Question

SCENES, SIZES = 200, (1, 8, 32)
GENERATION = Generation(128, 1, 0, retry_truncated=False)


def main() -> None:
    rows = {}
    with TemporaryDirectory() as folder:
        files = paint_files(Path(folder), SCENES)
        by_type = {}
        for dtype in (torch.float32, torch.bfloat16, torch.float16):
            ours = Ours(CHECKPOINT, "cpu", dtype)
            answers = {n: ours.answers(files, [Question(OD)], GENERATION, n) for n in SIZES}
            by_type[dtype] = answers[8]
            changed = {
                f"{a} and {b}": sum(answers[a][key] != answers[b][key] for key in answers[a])
                for a, b in combinations(SIZES, 2)
            }
            full = by_type[torch.float32]
            other = sum(answers[8][key] != full[key] for key in full)
            name = str(dtype).removeprefix("torch.")
            rows[name] = {"changed between batches": changed, "other than float32": other}
            print(f"{name}: of {SCENES} answers, changed between batches of {changed}; "
                  f"other than in float32: {other}")  # fmt: skip
    save("batches", "python -m benchmarks.batches", {"scenes": SCENES, "answers": rows})


if __name__ == "__main__":
    main()
