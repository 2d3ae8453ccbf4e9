"""Model + recipe: pictures in, records out. Out of memory halves the batch."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import torch

from florence_annotate.model.memory import give_back_freed_memory
from florence_annotate.types import (
    Answer,
    Answering,
    Failure,
    Generation,
    Loaded,
    Model,
    Picture,
    Recipe,
    Record,
)

_SIGNS = ("can't allocate memory", "not enough memory", "could not create a primitive")
"""How the CPU's allocator and oneDNN, which have no exception of their own, say it."""


@dataclass(slots=True)
class Annotator:
    """Encodes each picture once and asks all questions of the recipe about it.

    `batch_size` bounds the pictures that are encoded and the questions that are answered at once.
    When memory runs out, it is halved for the rest of the job.
    """

    model: Model
    recipe: Recipe
    generation: Generation
    batch_size: int

    def annotate(self, batches: Iterable[Sequence[Loaded]]) -> Iterator[list[Record | Failure]]:
        """One record or failure a picture, some at a time, as they get ready.

        The next batch is taken as soon as a question of it could be asked, so that the pictures
        with long answers hold nobody up.
        """
        ready: list[Record | Failure] = []
        for outcomes in self._as_they_end(batches):
            ready += outcomes
            if len(ready) >= self.batch_size:
                yield ready
                ready = []
        if ready:
            yield ready

    def _as_they_end(
        self, batches: Iterable[Sequence[Loaded]]
    ) -> Iterator[Sequence[Record | Failure]]:
        work = _Work(self)
        for batch in batches:
            yield [item for item in batch if isinstance(item, Failure)]
            work.waiting += [item for item in batch if isinstance(item, Picture)]
            while work.waiting or work.answering.free <= 0:
                yield work.go_on()
        while work.open:
            yield work.go_on()


@dataclass(slots=True)
class _Open:
    """A picture whose answers are not all there."""

    picture: Picture
    features: Any
    answers: dict[int, Answer] = field(default_factory=dict)
    """By the place of the question in the recipe."""


class _Work:
    """The pictures under way."""

    def __init__(self, annotator: Annotator) -> None:
        self._annotator = annotator
        self._model, self._recipe = annotator.model, annotator.recipe
        self.waiting: deque[Picture] = deque()
        """To be encoded as soon as a question could be asked."""
        self.open: dict[int, _Open] = {}
        """By number, in the order in which they were begun."""
        self._begun = 0
        self._tickets: dict[int, tuple[int, int]] = {}
        """Number of the picture and place of the question."""
        self._asked = 0
        self.answering = self._new_answering()

    def go_on(self) -> list[Record | Failure]:
        """Encode waiting pictures or wait for the next answers; returns what is whole by that."""
        reason = None
        try:
            if self.waiting and self.answering.free > 0:
                self._encode()
                return []
            found = self.answering.answers()
        except (MemoryError, RuntimeError) as error:  # CUDA's own is a RuntimeError too
            reason = _out_of_memory(error)
        if reason is not None:
            # outside of the handler, so that the failed step's tensors are gone
            return self._begin_again(reason)
        outcomes: list[Record | Failure] = []
        for ticket, answer in found:
            number, place = self._tickets.pop(ticket)
            one = self.open[number]
            one.answers[place] = answer
            if len(one.answers) == len(self._recipe.questions):
                outcomes.append(_record(self.open.pop(number)))
        return outcomes

    def _encode(self) -> None:
        """Encode a batch of the waiting pictures and queue the questions about them."""
        batch = list(islice(self.waiting, self._annotator.batch_size))
        for picture, features in zip(batch, self._model.encode(batch), strict=True):
            self.waiting.popleft()
            self.open[self._begun] = _Open(picture, features)
            for place, question in enumerate(self._recipe.questions):
                self._tickets[self._asked] = self._begun, place
                self.answering.ask(self._asked, features, question)
                self._asked += 1
            self._begun += 1

    def _begin_again(self, reason: str) -> list[Record | Failure]:
        """With half of the batch; the open pictures wait again, so that they hold no memory.

        Where a picture was alone with its question, it is given up.
        """
        self.waiting.extendleft(reversed([one.picture for one in self.open.values()]))
        self.open.clear()
        was_alone = self._annotator.batch_size == 1
        self._annotator.batch_size = max(1, self._annotator.batch_size // 2)
        self.answering = self._new_answering()
        give_back_freed_memory()
        return [_failure(self.waiting.popleft(), reason)] if was_alone else []

    def _new_answering(self) -> Answering:
        self._tickets.clear()
        return self._model.answering(self._annotator.generation, self._annotator.batch_size)


def _record(one: _Open) -> Record:
    picture = one.picture
    answers = tuple(one.answers[place] for place in sorted(one.answers))
    return Record(picture.ref, picture.sha, picture.width, picture.height, answers)


def _failure(picture: Picture, reason: str) -> Failure:
    message = f"not enough memory on the device for this picture alone: {reason}"
    return Failure(picture.ref, "annotate", "out-of-memory", message)


def _out_of_memory(error: BaseException) -> str:
    """What the device said, where it ran out of memory; anything else is raised again."""
    is_known = isinstance(error, torch.OutOfMemoryError | MemoryError)
    if not is_known and not any(sign in str(error) for sign in _SIGNS):
        raise error
    return (str(error) or "out of memory").strip().splitlines()[0]
