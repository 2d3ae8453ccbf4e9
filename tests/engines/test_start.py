"""From a checkpoint, a plan and settings to an engine that is ready to run."""

from typing import Any

import pytest
import torch

from florence_annotate import tasks
from florence_annotate.checkpoints import checkpoint as checkpoints
from florence_annotate.config import job_spec
from florence_annotate.engines.start import Assignment, Here, Ready, make_ready
from florence_annotate.errors import UsageError
from florence_annotate.images.tiles import Tiling
from florence_annotate.questions import planning
from florence_annotate.questions.request import Request
from florence_annotate.types import Generation

CPU = torch.device("cpu")


SHORT = Generation(16, 1, 0, False)


def assignment(
    request: Request | None = None, generation: Generation = SHORT, **flags: Any
) -> Assignment:
    found = checkpoints.find("shapes")
    plan = planning.plan(request or Request(tasks.find("detection")), found.known_labels)
    spec = job_spec.build({"model": "shapes", "canary": False, **flags})
    return Assignment(spec, found, plan, generation, "float32")


def ready(
    notes: list[str],
    request: Request | None = None,
    generation: Generation = SHORT,
    **flags: Any,
) -> Ready:
    return make_ready(assignment(request, generation, **flags), CPU, notes.append)


def test_settings_reach_the_annotator_and_the_loader() -> None:
    notes: list[str] = []
    made = ready(notes, batch_size=3, workers=2, max_pixels=1000, tiles="2x1", threads=2)
    assert made.annotator.batch_size == made.loading.batch_size == 3
    assert (made.loading.workers, made.loading.max_pixels) == (2, 1000)
    assert made.loading.image_size == 96 and made.loading.tiling == Tiling(2, 1)
    assert notes == [
        "loading shapes on cpu in float32 with 2 threads …",
        "its own settings: start 2, end 2, pad 1 (text_config); forced_first 0, forced_last 2, "
        "num_beams 1, no_repeat_ngram 0 (generation_config.json); early_stopping False "
        "(as published)",
    ]


def test_what_is_used_instead_of_the_checkpoints_own_is_told() -> None:
    notes: list[str] = []
    ready(notes, generation=Generation(16, 3, 0, False, for_text=Generation(16, 1, 3, False)))
    assert notes[2:4] == [
        "in use for tasks with locations: num_beams 3 instead of 1",
        "in use for tasks with text: no_repeat_ngram 3 instead of 0",
    ]


def test_auto_chooses_a_batch_size_and_says_so() -> None:
    notes: list[str] = []
    assert ready(notes).annotator.batch_size == 8
    assert notes[0] == "loading shapes on cpu in float32 with 1 thread …"
    assert notes[-1] == "batches of 8"


def test_a_prompt_that_is_too_long_is_refused_before_a_job_begins() -> None:
    long = Request(tasks.find("grounding"), text="a star " * 1000)
    with pytest.raises(UsageError, match="tokens long"):
        ready([], long)


def test_what_is_started_runs_and_tells_no_memory_on_a_cpu() -> None:
    here = Here(CPU)
    assert (here.name, here.resolve_dtype(is_embedded=True)) == ("cpu", "float32")
    started = here.start(assignment(batch_size=1, workers=0), [], lambda text: None)
    assert list(started.engine.run([])) == []
    assert started.memory_in_use() == ""
