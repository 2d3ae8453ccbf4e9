"""A model and a recipe: every image comes out, also where memory runs out.

It runs out for real, in a child process with a limit on its address space.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from florence_annotate.engines.annotator import Annotator
from florence_annotate.images.resizing import model_pixels
from florence_annotate.model.florence import Florence
from florence_annotate.questions.asking import AskAll
from florence_annotate.shapes.scenes import paint
from florence_annotate.types import Failure, Generation, ImageRef, Picture, Question, Record

CHILD = """
import json, resource, sys
import numpy as np, torch
from florence_annotate.engines.annotator import Annotator
from florence_annotate.checkpoints import checkpoint
from florence_annotate.model.florence import Florence
from florence_annotate.questions.asking import AskAll
from florence_annotate.types import Failure, Generation, ImageRef, Picture, Question

torch.set_num_threads(1)
batch, spare, beams = map(int, sys.argv[1:])
found = checkpoint.find("shapes")
model = Florence(found, torch.device("cpu"), torch.float32, "sdpa")
recipe = AskAll((Question("<OD>"),))
annotator = Annotator(model, recipe, Generation(16, 1, 0, False), batch)
pixels = np.zeros((1, 3, found.image_size, found.image_size), np.uint8)
images = [
    Picture(ImageRef(str(i), b"", 0, 0), "", pixels, 96, 96) for i in range(batch)
]
list(annotator.annotate([images[:1]]))  # whatever is allocated once
annotator.generation = Generation(16, beams, 0, False)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (spare << 20),) * 2)
outcomes = [o for some in annotator.annotate([images]) for o in some]
print(json.dumps([annotator.batch_size, [getattr(o, "kind", "ok") for o in outcomes]]))
"""


def run_out(batch: int, spare_mib: int, beams: int = 1) -> tuple[int, list[str]]:
    """Annotate `batch` images with so much memory left; final batch size and outcomes."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(batch), str(spare_mib), str(beams)],
        capture_output=True, text=True, timeout=200, cwd=Path(__file__).parents[1],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    size, kinds = json.loads(done.stdout)
    return size, kinds


def test_out_of_memory_halves_the_batch_and_goes_on() -> None:
    size, kinds = run_out(batch=256, spare_mib=96)
    assert kinds == ["ok"] * 256
    assert size < 256


def test_an_image_that_does_not_fit_alone_is_a_failure() -> None:
    _, kinds = run_out(batch=2, spare_mib=8, beams=2000)
    assert kinds == ["out-of-memory"] * 2


@dataclass
class Starved:
    """The model on a device that holds two images at most."""

    model: Florence
    message: str

    def encode(self, pixels: Sequence[Any]) -> Any:
        if len(pixels) > 2:
            raise RuntimeError(self.message)
        return self.model.encode(pixels)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)


@pytest.mark.parametrize(
    "message",
    [
        "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported at some",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "MPS backend out of memory (MPS allocated: 17.94 GB, other allocations: 77.38 MB, max "
        "allowed: 18.13 GB). Tried to allocate 256.00 MB on private pool.",
    ],
    ids=lambda message: message.split(" (")[0][:40],
)
def test_memory_that_runs_out_in_any_wording_halves_the_batch(
    model: Florence, message: str
) -> None:
    starved = Starved(model, message)
    annotator = Annotator(starved, AskAll((Question("<OD>"),)), Generation(8, 1, 0, False), 8)
    keys = "abcdef"
    outcomes = [o for some in annotator.annotate([pictures_of(model, *keys)]) for o in some]
    assert all(isinstance(one, Record) for one in outcomes)
    assert sorted(one.ref.key for one in outcomes) == list(keys)
    assert annotator.batch_size == 2


def test_images_that_cannot_be_read_are_handed_on_without_waiting_for_the_end(
    model: Florence,
) -> None:
    recipe = AskAll((Question("<OD>"),))
    annotator = Annotator(model, recipe, Generation(16, 1, 0, False), 2)
    failure = Failure(ImageRef("x", b"", 0, 0), "decode", "truncated", "")
    taken = 0

    def batches() -> Iterator[list[Picture | Failure]]:
        nonlocal taken
        for _ in range(1000):
            taken += 1
            yield [failure, failure]

    assert next(annotator.annotate(batches())) == [failure, failure]
    assert taken == 1


@dataclass
class Asking:
    """Asks what is given for each image, and once more about those with a follow-up."""

    first_of: dict[str, tuple[Question, ...]]
    then_of: dict[str, tuple[Question, ...]]

    def first(self, picture: Picture) -> Sequence[Question]:
        return self.first_of[picture.ref.key]

    def then(self, record: Record) -> Sequence[Question]:
        further = self.then_of.get(record.ref.key, ())
        has_asked = len(record.answers) > len(self.first_of[record.ref.key])
        return () if has_asked else further


def pictures_of(model: Florence, *keys: str) -> list[Picture]:
    return [
        Picture(
            ImageRef(key, b"", 0, 0),
            key,
            model_pixels(paint(3_200_000 + number).image, model.image_size),
            96,
            96,
        )
        for number, key in enumerate(keys)
    ]


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_follow_ups_and_nothing_to_ask_come_out_whole_with_any_batch(
    model: Florence, batch_size: int
) -> None:
    recipe = Asking(
        {"a": (Question("<OD>"), Question("<CAPTION>")), "b": (), "c": (Question("<OD>"),)},
        {"a": (Question("<OCR>"), Question("<DETAILED_CAPTION>"))},
    )
    annotator = Annotator(model, recipe, Generation(32, 1, 0, False), batch_size)
    outcomes = [o for some in annotator.annotate([pictures_of(model, "a", "b", "c")]) for o in some]
    records = {one.ref.key: one for one in outcomes if isinstance(one, Record)}
    assert len(outcomes) == len(records) == 3
    asked = {key: [a.question.task for a in one.answers] for key, one in records.items()}
    assert asked == {
        "a": ["<OD>", "<CAPTION>", "<OCR>", "<DETAILED_CAPTION>"],
        "b": [],
        "c": ["<OD>"],
    }


def test_a_question_that_cannot_be_asked_is_the_failure_of_its_image_alone(
    model: Florence,
) -> None:
    too_long = Question("<CAPTION_TO_PHRASE_GROUNDING>", "a star " * 1000)
    recipe = Asking(
        {"a": (too_long,), "b": (Question("<OD>"),), "c": (Question("<OD>"),)}, {"c": (too_long,)}
    )
    annotator = Annotator(model, recipe, Generation(32, 1, 0, False), 4)
    outcomes = [o for some in annotator.annotate([pictures_of(model, "a", "b", "c")]) for o in some]
    kinds = {one.ref.key: getattr(one, "kind", "record") for one in outcomes}
    assert kinds == {"a": "unaskable", "b": "record", "c": "unaskable"}
