"""What lives in an actor, without Ray around it."""

import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from florence_annotate.config import job_spec
from florence_annotate.engines.ray.worker import Worker
from florence_annotate.engines.start import Assignment
from florence_annotate.errors import CheckpointError
from florence_annotate.jobs.setup import Setup
from florence_annotate.types import Failure, ImageRef, Record


def assignment(**flags: Any) -> Assignment:
    spec = job_spec.build({"model": "shapes", "canary": False, "workers": 0, **flags})
    setup = Setup.of(spec, spec.request())
    return Assignment(spec, setup.checkpoint, setup.plan, setup.generation, "float32")


@pytest.fixture
def threads() -> Iterator[None]:
    """A worker settles how many PyTorch has in its process."""
    count = torch.get_num_threads()
    yield
    torch.set_num_threads(count)


def worker(given: Assignment, weights: str | None = None) -> Worker:
    return Worker(given, weights or given.checkpoint.weights_hash(), 1, "cpu")


def refs(folder: Path, first: int, last: int) -> list[ImageRef]:
    paths = sorted(folder.glob("*.jpg"))[first:last]
    return [ImageRef.of(path.name, bytes(path), path.stat()) for path in paths]


@pytest.mark.usefixtures("threads")
def test_blocks_go_in_and_each_outcome_comes_out_once(scenes: Path, tmp_path: Path) -> None:
    made = worker(assignment(batch_size=2))
    prepared = made.prepare()
    assert prepared.notes[0] == "loading shapes on cpu in float32 with 1 thread …"
    assert prepared.room == 4  # two batches; without processes that read nothing is ahead
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    blocks = [refs(scenes, 0, 5), [*refs(scenes, 5, 6), *refs(tmp_path, 0, 1)], refs(scenes, 6, 9)]
    wanted = [ref.key for block in blocks for ref in block]
    came: list[Record | Failure] = []
    while blocks or len(came) < len(wanted):
        exchange = made.exchange(blocks.pop(0) if blocks else [])
        came += exchange.outcomes
    assert sorted(one.ref.key for one in came) == sorted(wanted)
    assert [one.ref.key for one in came if isinstance(one, Failure)] == ["broken.jpg"]
    assert (exchange.memory, exchange.seconds_waiting > 0) == (0, True)


@pytest.mark.usefixtures("threads")
def test_another_checkpoint_than_that_of_the_command_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"shapes in .* has other files .*: copy it there"):
        worker(assignment(), "another hash").prepare()


@pytest.mark.parametrize(
    "flags",
    [
        {"task": "detection,caption", "tiles": "2x2"},
        {"task": "grounding", "texts": "sidecar"},
        {"task": "grounding", "texts": "texts.csv"},
        {"task": "region-to-description", "regions": "boxes.json"},
        {"recipe": "describe"},
        {"recipe": "instance-segmentation", "classes": "star"},
        {"recipe": "caption-grounding"},
        {"recipe": "verify", "strategy": "open-vocabulary", "classes": "star,cross"},
        {"prompt": "what is here?", "gives": "boxes"},
        {"strategy": "od", "constrain": "labels", "classes": "star"},
    ],
)
def test_whatever_is_asked_can_travel(
    flags: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("texts.csv").write_text("image,text\na.jpg,a star\n")
    Path("boxes.json").write_text(
        '{"images": [{"id": 1, "file_name": "a.jpg", "width": 9, "height": 9}], "categories": '
        '[{"id": 1, "name": "star"}], "annotations": [{"id": 1, "image_id": 1, "category_id": 1, '
        '"bbox": [1, 1, 5, 5]}]}'
    )
    given = assignment(**flags)
    came = pickle.loads(pickle.dumps(given))
    assert replace(came, plan=given.plan) == given
    assert came.plan.questions == given.plan.questions
