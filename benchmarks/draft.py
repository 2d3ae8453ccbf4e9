"""What scaled JPEG decoding would save, and what it would change.

    python -m benchmarks.draft

libjpeg can decode to a half, a quarter or an eighth of the size, and skips most of the work then
(`Image.draft`). Images of 4000 x 3000 pixels are read with and without it, and the embedded
checkpoint is asked `<OD>` about both. Reading is timed for the base model's 768 pixels; there the
smallest scale that keeps at least twice as many pixels a side is a half.
"""

import re
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image

from benchmarks.contestants import paint_files
from benchmarks.measuring import parser, save
from benchmarks.random_models import SIDE
from florence_annotate.checkpoints import checkpoint as checkpoints
from florence_annotate.engines.annotator import Annotator
from florence_annotate.images import codec
from florence_annotate.model.florence import Florence
from florence_annotate.questions.asking import AskAll
from florence_annotate.tasks import OD
from florence_annotate.types import Generation, ImageRef, Picture, Question, Record

IMAGES, SIZE = 100, (4000, 3000)


def read(file: Path, side: int) -> np.ndarray:
    """As a job reads it."""
    pixels: np.ndarray = codec.model_pixels(codec.decode(file.read_bytes()), side)
    return pixels


def read_scaled(file: Path, side: int) -> np.ndarray:
    """At the smallest scale that keeps twice as many pixels a side as the model sees."""
    image = Image.open(file)
    image.draft("RGB", (2 * side, 2 * side))
    pixels: np.ndarray = codec.model_pixels(image.convert("RGB"), side)
    return pixels


def milliseconds(reader: Callable[[Path, int], np.ndarray], files: list[Path]) -> float:
    taken = []
    for file in files:
        began = time.perf_counter()
        reader(file, SIDE)
        taken.append(time.perf_counter() - began)
    return median(taken) * 1e3


def answers(model: Florence, pixels: list[np.ndarray]) -> list[str]:
    images = [
        Picture(ImageRef(f"{i:04}", b"", 0, 0), "", each, *SIZE) for i, each in enumerate(pixels)
    ]
    generation = Generation(128, 1, 0, retry_truncated=False)
    annotator = Annotator(model, AskAll((Question(OD),)), generation, 16)
    records = [
        outcome
        for outcomes in annotator.annotate([images])
        for outcome in outcomes
        if isinstance(outcome, Record)
    ]
    return [r.answers[0].data.decode() for r in sorted(records, key=lambda r: r.ref.key)]


def main() -> None:
    parser("draft", __doc__).parse_args()
    model = Florence(checkpoints.find("shapes"), torch.device("cpu"), torch.float32, "sdpa")
    with TemporaryDirectory() as folder:
        files = paint_files(Path(folder), IMAGES, SIZE)
        times = {
            "whole": milliseconds(read, files[:20]),
            "scaled": milliseconds(read_scaled, files[:20]),
        }
        whole, scaled = (
            answers(model, [reader(file, model.image_size) for file in files])
            for reader in (read, read_scaled)
        )
    changed = [(a, b) for a, b in zip(whole, scaled, strict=True) if a != b]
    words = sum(_without_bins(a) != _without_bins(b) for a, b in changed)
    moved = [
        abs(x - y)
        for a, b in zip(whole, scaled, strict=True)
        if _without_bins(a) == _without_bins(b)
        for x, y in zip(_bins(a), _bins(b), strict=True)
    ]
    content = {
        "pictures": IMAGES,
        "size": SIZE,
        "milliseconds to read a picture": times,
        "answers changed": len(changed),
        "of those, with other words or objects": words,
        "bins moved, mean": float(np.mean(moved)),
        "bins moved, at most": max(moved),
    }
    print(content)
    save("draft", "python -m benchmarks.draft", content)


def _bins(answer: str) -> list[int]:
    return [int(number) for number in re.findall(r"<loc_(\d+)>", answer)]


def _without_bins(answer: str) -> str:
    return re.sub(r"<loc_\d+>", "#", answer)


if __name__ == "__main__":
    main()
