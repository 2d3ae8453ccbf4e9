"""Makes a model ready to answer, of a checkpoint, a plan and the settings of a job; and the engine
that runs it on a device of this machine.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from florence_annotate.checkpoints.checkpoint import Checkpoint
from florence_annotate.checkpoints.generation_settings import GenerationSettings
from florence_annotate.config.job_spec import JobSpec
from florence_annotate.engines import canary
from florence_annotate.engines.annotator import Annotator
from florence_annotate.engines.batch_size import fitting_batch_size
from florence_annotate.engines.local import LocalEngine
from florence_annotate.errors import DeviceError
from florence_annotate.images.loading import LoadingOptions, default_workers
from florence_annotate.model import threads
from florence_annotate.model.device import (
    most_memory,
    resolve_attention,
    resolve_dtype,
    say_memory,
)
from florence_annotate.model.florence import Florence
from florence_annotate.model.memory import say_out_of_memory
from florence_annotate.questions.plan import Plan
from florence_annotate.tasks import Kind
from florence_annotate.types import Engine, Generation


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a model is made ready for. All of it can travel to another machine."""

    spec: JobSpec
    checkpoint: Checkpoint
    plan: Plan
    generation: Generation
    dtype: str


@dataclass(frozen=True, slots=True)
class Ready:
    """A model that is loaded and tried, behind an annotator, and how images are read for it."""

    annotator: Annotator
    loading: LoadingOptions


@dataclass(frozen=True, slots=True)
class Started:
    """An engine, and a function that says how much memory of its device is in use."""

    engine: Engine
    memory_in_use: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Here:
    """A place (`florence_annotate.engines.places.Place`): a device of this machine."""

    device: torch.device

    @property
    def name(self) -> str:
        return str(self.device)

    def resolve_dtype(self, *, is_embedded: bool) -> str:
        dtype = resolve_dtype("auto", self.device, is_embedded=is_embedded)
        return str(dtype).removeprefix("torch.")

    def start(
        self, assignment: Assignment, landmarks: Sequence[Path], note: Callable[[str], None]
    ) -> Started:
        ready = make_ready(assignment, self.device, note)
        engine = LocalEngine(ready.annotator, ready.loading)
        return Started(engine, lambda: say_memory(most_memory(self.device)))

    def close(self) -> None:
        """Nothing is left behind: the model goes with the engine."""


def make_ready(assignment: Assignment, device: torch.device, note: Callable[[str], None]) -> Ready:
    """Load the model, try it with the canary, and settle the batch size; `note` tells the user.

    Raises CheckpointError, UsageError for a prompt that is too long, and DeviceError, also where
    the memory does not suffice.
    """
    spec, checkpoint, plan = assignment.spec, assignment.checkpoint, assignment.plan
    generation, dtype = assignment.generation, assignment.dtype
    attention = resolve_attention(spec.attention, device, getattr(torch, dtype), note)
    count = threads.settle(spec.threads, checkpoint)
    shared = f" with {count} thread{'s' * (count > 1)}" if device.type == "cpu" else ""
    note(f"loading {checkpoint.name} on {device} in {dtype}{shared} …")
    note(f"its own settings: {checkpoint.generation}")
    if contradictions := checkpoint.generation.contradictions:
        note(f"its files contradict each other: {'; '.join(contradictions)}")
    for told in _in_use(generation, checkpoint.generation):
        note(told)
    try:
        model = Florence(checkpoint, device, getattr(torch, dtype), attention, plan.samples)
        if spec.canary:
            for told in canary.check(model, plan.samples, generation, checkpoint.generation):
                note(told)
        batch_size = _settle_batch_size(spec, model, plan, generation, note)
    except (MemoryError, RuntimeError) as error:
        reason = say_out_of_memory(error)
        raise DeviceError(
            f"not enough memory on {device} for {checkpoint.name} in {dtype} ({reason}): free "
            "some, raise the process's limit (ulimit -v), or choose a smaller --model, another "
            "--dtype or fewer --num-beams"
        ) from error
    annotator = Annotator(model, plan.recipe, generation, batch_size)
    workers = default_workers() if spec.workers is None else spec.workers
    return Ready(annotator, loading_options(spec, checkpoint, batch_size, workers))


def loading_options(
    spec: JobSpec, checkpoint: Checkpoint, batch_size: int, workers: int
) -> LoadingOptions:
    """How the images of a job are read."""
    return LoadingOptions(
        checkpoint.image_size,
        batch_size,
        workers,
        spec.max_pixels,
        spec.tiling,
        is_exact=spec.pixels == "exact",
    )


def _in_use(generation: Generation, own: GenerationSettings) -> Iterator[str]:
    """A line for each kind of task that is answered under other settings than the checkpoint's."""
    kinds = {Kind.LOCATIONS: generation, Kind.TEXT: generation.for_text or generation}
    for kind, each in kinds.items():
        others = [
            f"{name} {value} instead of {getattr(own, name)}"
            for name, value in (
                ("num_beams", each.num_beams),
                ("no_repeat_ngram", each.no_repeat_ngram),
            )
            if value != getattr(own, name)
        ]
        if others:
            yield f"in use for tasks with {kind}: {', '.join(others)}"


def _settle_batch_size(
    spec: JobSpec,
    model: Florence,
    plan: Plan,
    generation: Generation,
    note: Callable[[str], None],
) -> int:
    """The batch size that was asked for, or the one that fits; `--compile` compiles for it."""
    if spec.batch_size == "auto":
        batch_size = fitting_batch_size(model, generation, plan.samples)
        note(f"batches of {batch_size}")
    else:
        batch_size = spec.batch_size
    if spec.compile and model.has_own_kernels:
        note("the vision tower is not compiled: on this device its own kernels are faster")
    elif spec.compile:
        began = time.perf_counter()
        note(f"compiling the vision tower for batches of {batch_size} …")
        model.compile_tower(batch_size)
        note(f"compiled in {time.perf_counter() - began:.0f} s")
    return batch_size
