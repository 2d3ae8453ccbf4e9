"""What `--pixels fast` changes in the answers.

    python -m benchmarks.fast_pixels

The embedded checkpoint is asked `<OD>` about painted scenes as JPEGs, of pixels made exactly and
fast. It sees images at 96 pixels, where a public one has 768: so 500 x 375 is to it what 12
megapixels are to those, and decoded at a half as they are. Images of 4000 x 3000 are decoded at an
eighth. 150 x 150 pixels are decoded whole, and only resized otherwise.
"""

import re
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from benchmarks.contestants import paint_files
from benchmarks.measuring import parser, save
from florence_annotate.checkpoints import checkpoint as checkpoints
from florence_annotate.engines.annotator import Annotator
from florence_annotate.images.loading import LoadingOptions, load
from florence_annotate.model.florence import Florence
from florence_annotate.questions.asking import AskAll
from florence_annotate.tasks import OD
from florence_annotate.types import Generation, ImageRef, Picture, Question, Record

SIZES = {(500, 375): 200, (4000, 3000): 50, (150, 150): 200}
"""Size → how many scenes."""


def main() -> None:
    parser("fast_pixels", __doc__).parse_args()
    model = Florence(checkpoints.find("shapes"), torch.device("cpu"), torch.float32, "sdpa")
    rows = {}
    for size, count in SIZES.items():
        with TemporaryDirectory() as folder:
            files = paint_files(Path(folder), count, size)
            exact = LoadingOptions(model.image_size, 16, 0)
            pictures = read(files, exact)
            others = read(files, replace(exact, is_exact=False))
        name = "{} x {}".format(*size)
        said = answers(model, pictures), answers(model, others)
        rows[name] = compare(pictures, others, *said)
        print(name, rows[name], flush=True)
    save("fast-pixels", "python -m benchmarks.fast_pixels", {"sizes": rows})


def read(files: list[Path], options: LoadingOptions) -> list[Picture]:
    loaded = [load(ImageRef(file.name, bytes(file), 0, 0), options) for file in files]
    return [picture for picture in loaded if isinstance(picture, Picture)]


def answers(model: Florence, pictures: list[Picture]) -> list[str]:
    generation = Generation(128, 1, 0, retry_truncated=False)
    annotator = Annotator(model, AskAll((Question(OD),)), generation, 16)
    records = [
        outcome
        for outcomes in annotator.annotate([pictures])
        for outcome in outcomes
        if isinstance(outcome, Record)
    ]
    return [r.answers[0].data.decode() for r in sorted(records, key=lambda r: r.ref.key)]


def compare(
    pictures: list[Picture], others: list[Picture], exact: list[str], fast: list[str]
) -> dict[str, Any]:
    apart = np.concatenate(
        [
            abs(a.pixels.astype(int) - b.pixels).ravel()
            for a, b in zip(pictures, others, strict=True)
        ]
    )
    changed = [(a, b) for a, b in zip(exact, fast, strict=True) if a != b]
    alike = [
        abs(x - y)
        for a, b in zip(exact, fast, strict=True)
        if _without_bins(a) == _without_bins(b)
        for x, y in zip(_bins(a), _bins(b), strict=True)
    ]
    return {
        "answers": len(exact),
        "changed": len(changed),
        "of those, with other words or objects": sum(
            _without_bins(a) != _without_bins(b) for a, b in changed
        ),
        "locations": len(alike),
        "locations moved": sum(bins > 0 for bins in alike),
        "bins moved, mean of all": float(np.mean(alike)),
        "bins moved, at most": max(alike),
        "pixels apart, mean": float(apart.mean()),
        "pixels apart, at most": int(apart.max()),
    }


def _bins(answer: str) -> list[int]:
    return [int(number) for number in re.findall(r"<loc_(\d+)>", answer)]


def _without_bins(answer: str) -> str:
    return re.sub(r"<loc_\d+>", "#", answer)


if __name__ == "__main__":
    main()
