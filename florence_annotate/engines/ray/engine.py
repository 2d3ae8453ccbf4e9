"""The driver's side: blocks of references to actors, outcomes back as they come.

An actor that dies, with its machine or alone, is replaced by a new one, which Ray places where
there is room. What it had is handed out again, as `blocks` says.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from florence_annotate.engines.ray.blocks import Block, Blocks
from florence_annotate.engines.ray.worker import Exchange, Prepared
from florence_annotate.errors import EngineError, FlorenceAnnotateError
from florence_annotate.types import Failure, ImageRef, Record

_LOOK_SECONDS = 0.5
"""How long outcomes are waited for before the caller may look whether it is to stop."""
_STARTS = 3
"""So many actors in a row may die in one place before a model is ready there."""
_MOST_DEATHS = 32
"""So many actors in a row, wherever, may die of what they are given. An image that kills its
process takes six; a machine that kills whatever it runs would take two for each image."""
_TOLD_AFTER = 20.0
"""Seconds after which it is told that Ray has no room yet."""


class _State(Enum):
    PLACING = auto()
    """Ray looks for a machine with room."""
    LOADING = auto()
    READY = auto()


@dataclass(slots=True)
class _Actor:
    """A worker as the driver sees it; its place stays when another takes it."""

    handle: Any
    call: Any
    """What is waited for; None where it has nothing to do."""
    state: _State = _State.PLACING
    host: str = "a machine that Ray was to choose"
    room: int = 0
    """See `Prepared.room`."""
    given: list[Block] = field(default_factory=list)
    """Blocks that it has, with what is left of them."""
    waiting: list[Block] = field(default_factory=list)
    """Blocks that it gets with the next call."""
    failed_starts: int = 0
    seconds_waiting: float = 0.0
    memory: int = 0

    @property
    def spare(self) -> int:
        """How many more references it has than its loader and its batches hold."""
        return sum(len(block.refs) for block in (*self.given, *self.waiting)) - self.room

    @property
    def is_fed(self) -> bool:
        """Whether it may get further blocks beside those that it has."""
        alone = any(block.is_suspect for block in (*self.given, *self.waiting))
        return self.state is _State.READY and not alone


class RayEngine:
    """An engine (`florence_annotate.types.Engine`) on Ray's actors.

    An actor holds no more references than its loader and its batches do, and a block or two: so
    what is in flight is bounded, however slow the driver is.
    """

    def __init__(
        self,
        hire: Callable[[], Any],
        actors: int,
        note: Callable[[str], None],
        log: Callable[[], Path],
    ) -> None:
        """`hire` makes a `Worker` as an actor; `log` keeps Ray's log, and says where that is."""
        self._hire, self._note, self._log = hire, note, log
        self._notes: set[str] = set()
        self._deaths = 0
        """Of actors that were ready, since the last outcome."""
        self._lost_seconds = 0.0
        """What actors that are gone had waited for images."""
        self._actors = [self._new() for _ in range(actors)]

    @property
    def seconds_waiting(self) -> float:
        """See `florence_annotate.types.Engine`: of the actors on average."""
        whole = self._lost_seconds + sum(actor.seconds_waiting for actor in self._actors)
        return whole / len(self._actors)

    @property
    def memory(self) -> int:
        """The most bytes that an actor has had in use on its device."""
        return max(actor.memory for actor in self._actors)

    @property
    def ready(self) -> int:
        """How many actors annotate."""
        return sum(actor.state is _State.READY for actor in self._actors)

    def wait_until_ready(self) -> None:
        """Wait for the first actor that can annotate; the others come while it does.

        Raises what `Worker.prepare` raises, and EngineError.
        """
        begun, is_told = time.monotonic(), False
        while not self.ready:
            self._settle(None)
            is_placed = any(actor.state is not _State.PLACING for actor in self._actors)
            if not (is_told or is_placed) and time.monotonic() - begun > _TOLD_AFTER:
                self._note(
                    "Ray has no room for an actor yet: others hold its cores or GPUs; waiting"
                )
                is_told = True

    def run(self, refs: Iterable[ImageRef]) -> Iterator[list[Record | Failure]]:
        """Annotate images; yields outcomes as they come, and none at all now and then."""
        blocks = Blocks(refs, len(self._actors))
        while blocks.are_left or any(actor.given or actor.waiting for actor in self._actors):
            self._hand_out(blocks)
            yield self._settle(blocks)

    def dismiss(self) -> None:
        """End all actors."""
        for actor in self._actors:
            ray.kill(actor.handle)

    def _new(self) -> _Actor:
        handle = self._hire()
        return _Actor(handle, handle.where.remote())

    def _hand_out(self, blocks: Blocks) -> None:
        ready = [actor for actor in self._actors if actor.state is _State.READY]
        for actor in ready:
            if not (actor.given or actor.waiting) and (suspect := blocks.next_suspect()):
                actor.waiting.append(suspect)
        fed = [actor for actor in ready if actor.is_fed]
        while fed and (size := blocks.size):
            neediest = min(fed, key=lambda actor: actor.spare)
            # its loader never runs dry, and one that is ready first leaves enough to the others
            if neediest.spare >= size:
                break
            neediest.waiting.append(blocks.next())
        for actor in ready:
            if actor.call is None and (actor.given or actor.waiting):
                refs = [ref for block in actor.waiting for ref in block.refs.values()]
                actor.call = actor.handle.exchange.remote(refs)
                actor.given += actor.waiting
                actor.waiting = []

    def _settle(self, blocks: Blocks | None) -> list[Record | Failure]:
        """Wait for the next calls that are answered; returns the outcomes that they brought."""
        called = {actor.call: actor for actor in self._actors if actor.call is not None}
        done, _ = ray.wait(list(called), num_returns=1, timeout=_LOOK_SECONDS)
        if done:  # and whatever else is there by now
            done, _ = ray.wait(list(called), num_returns=len(called), timeout=0)
        outcomes: list[Record | Failure] = []
        for call in done:
            actor = called[call]
            actor.call = None
            try:
                outcomes += self._take(actor, ray.get(call))
            except RayTaskError as error:
                raise self._in_our_words(actor, error) from error
            except RayError as error:
                outcomes += self._replace(actor, error, blocks)
        return outcomes

    def _take(self, actor: _Actor, answer: Any) -> list[Record | Failure]:
        if isinstance(answer, Exchange):
            self._deaths = 0
            actor.seconds_waiting, actor.memory = answer.seconds_waiting, answer.memory
            for outcome in answer.outcomes:
                for block in actor.given:
                    block.refs.pop(outcome.ref.key, None)
            actor.given = [block for block in actor.given if block.refs]
            return answer.outcomes
        if isinstance(answer, Prepared):
            actor.state, actor.room, actor.failed_starts = _State.READY, answer.room, 0
            for told in answer.notes:
                if told not in self._notes:
                    self._note(f"{actor.host}: {told}")
            self._notes.update(answer.notes)
            return []
        actor.state, actor.host = _State.LOADING, answer
        actor.call = actor.handle.prepare.remote()
        return []

    def _replace(
        self, actor: _Actor, error: RayError, blocks: Blocks | None
    ) -> list[Record | Failure]:
        """Another actor in the place of one that died; returns the images that are to blame."""
        ray.kill(actor.handle)  # where it only can't be reached, it must not go on
        place = self._actors.index(actor)
        new = self._new()
        self._actors[place] = new
        self._lost_seconds += actor.seconds_waiting
        why = f"{actor.host} ({_cause(error)})"
        log = f"Ray's log: {self._log()}"
        if actor.state is _State.READY:
            self._deaths += 1
        else:
            new.failed_starts = actor.failed_starts + 1
        if new.failed_starts == _STARTS:
            raise EngineError(
                f"{_STARTS} actors in a row died before a model was ready, the last on {why}. {log}"
            ) from error
        if self._deaths == _MOST_DEATHS:
            raise EngineError(
                f"{_MOST_DEATHS} actors in a row died of whatever they were given, the last on "
                f"{why}. {log}"
            ) from error
        under_way = sum(len(block.refs) for block in actor.given)
        self._note(
            f"an actor died on {why}; of its images {under_way} are asked again elsewhere. {log}"
        )
        failures: list[Record | Failure] = []
        if blocks is not None:
            for block in reversed(actor.waiting):
                blocks.put_back(block)
            for block in actor.given:
                if failure := blocks.mourn(block, actor.host):
                    failures.append(failure)
        return failures

    def _in_our_words(self, actor: _Actor, error: RayTaskError) -> FlorenceAnnotateError:
        cause = error.cause
        if isinstance(cause, FlorenceAnnotateError):
            return type(cause)(f"on {actor.host}: {cause}")
        told = (str(cause).strip() or "no message").splitlines()[0]
        return EngineError(
            f"on {actor.host} an actor failed ({type(cause).__name__}: {told}). What was committed "
            f"is safe. The trace is in Ray's log: {self._log()}"
        )


def _cause(error: RayError) -> str:
    """Why an actor died: a few words for Ray's many."""
    told = str(error)
    if "low on memory" in told:
        return "its machine ran out of memory"
    return "its machine is gone" if "its node has died" in told else "its process ended"
