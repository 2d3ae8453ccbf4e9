"""What lives in an actor: a whole local engine on its device, fed with references while it runs."""

import queue
import socket
import threading
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from florence_annotate.checkpoints import checkpoint as checkpoints
from florence_annotate.checkpoints.checkpoint import Checkpoint
from florence_annotate.config.job_spec import JobSpec
from florence_annotate.engines.local import LocalEngine
from florence_annotate.engines.start import Assignment, make_ready
from florence_annotate.errors import CheckpointError, FlorenceAnnotateError
from florence_annotate.images.loading import workers_of
from florence_annotate.model.device import most_memory
from florence_annotate.types import Failure, ImageRef, Record


@dataclass(frozen=True, slots=True)
class Prepared:
    """An actor that is ready to annotate."""

    notes: tuple[str, ...]
    """What there is to tell the user of its model."""
    room: int
    """How many images its loader and its annotator hold: with fewer they are not kept busy."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """What an actor has done since the last one."""

    outcomes: list[Record | Failure]
    seconds_waiting: float
    """How long its device has waited for images, so far."""
    memory: int
    """The most bytes of its device that were in use, so far; 0 on a CPU."""


class Worker:
    """Runs a local engine in a thread of its own, while calls bring references and take outcomes.

    So its loader and its batches stay filled from one block of references to the next.
    """

    def __init__(self, assignment: Assignment, weights: str, threads: int, device: str) -> None:
        """`weights` is the checkpoint's hash (`Checkpoint.weights_hash`)."""
        self._assignment, self._weights = assignment, weights
        self._threads, self._device = threads, torch.device(device)
        self._inbox: queue.SimpleQueue[ImageRef] = queue.SimpleQueue()
        self._outbox: queue.SimpleQueue[Prepared | Exchange | Exception] = queue.SimpleQueue()

    def where(self) -> str:
        """The machine that it is on."""
        return socket.gethostname()

    def prepare(self) -> Prepared:
        """Load the model and try it. Raises what `make_ready` does."""
        threading.Thread(target=self._run, daemon=True).start()
        prepared = self._take()
        assert isinstance(prepared, Prepared)
        return prepared

    def exchange(self, refs: Sequence[ImageRef]) -> Exchange:
        """Take more references, and wait for the next outcomes; there is something to wait for."""
        for ref in refs:
            self._inbox.put(ref)
        found = [self._take()]
        while not self._outbox.empty():
            found.append(self._take())
        exchanges = [each for each in found if isinstance(each, Exchange)]
        outcomes = [outcome for each in exchanges for outcome in each.outcomes]
        return replace(exchanges[-1], outcomes=outcomes)

    def _take(self) -> Prepared | Exchange:
        taken = self._outbox.get()
        if isinstance(taken, Exception):
            raise taken
        return taken

    def _run(self) -> None:
        try:
            self._annotate()
        except Exception as error:
            if not isinstance(error, FlorenceAnnotateError):
                traceback.print_exc()  # into Ray's log: the user is told a line
            self._outbox.put(error)

    def _annotate(self) -> None:
        notes: list[str] = []
        torch.set_num_threads(self._threads)  # before anybody asks how many there are
        assignment = self._assignment
        spec = _shared_out(assignment.spec, self._threads)
        checkpoint = find(assignment, self._weights)
        ready = make_ready(
            replace(assignment, spec=spec, checkpoint=checkpoint), self._device, notes.append
        )
        engine = LocalEngine(ready.annotator, ready.loading)
        room = ready.loading.images_ahead + 2 * ready.loading.batch_size
        self._outbox.put(Prepared(tuple(notes), room))
        while True:
            for outcomes in engine.run(self._until_none_is_left(self._inbox.get())):
                memory = most_memory(self._device)
                self._outbox.put(Exchange(outcomes, engine.seconds_waiting, memory))

    def _until_none_is_left(self, first: ImageRef) -> Iterator[ImageRef]:
        """It ends where it would wait: the loader has images by then that nobody would take."""
        yield first
        while True:
            try:
                yield self._inbox.get_nowait()
            except queue.Empty:
                return


def find(assignment: Assignment, weights: str) -> Checkpoint:
    """The checkpoint of a job as this machine has it, which is fetched from the hub if need be.

    Raises CheckpointError where it is not there, or another one.
    """
    spec, meant = assignment.spec, assignment.checkpoint
    found = checkpoints.find(spec.model, meant.revision, adapter=spec.adapter)
    if found.weights_hash() != weights:
        raise CheckpointError(
            f"{meant.name} in {found.folder} has other files (weights, tokenizer, configurations) "
            "than on the machine of the command: copy it there, whole"
        )
    return replace(meant, folder=found.folder, adapter=found.adapter)


def _shared_out(spec: JobSpec, threads: int) -> JobSpec:
    """The settings of a job for one of several actors on a machine: each has its part of it."""
    workers = workers_of(threads) if spec.workers is None else spec.workers
    return spec.model_copy(update={"workers": workers})
