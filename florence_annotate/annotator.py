"""Model + recipe: pictures in, records out. Out of memory halves the batch."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
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
            yield work.begin([item for item in batch if isinstance(item, Picture)])
            while work.answering.free <= 0:
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
        self.open: dict[int, _Open] = {}
        """By number, in the order in which they were begun."""
        self._begun = 0
        self._tickets: dict[int, tuple[int, int]] = {}
        """Number of the picture and place of the question."""
        self._asked = 0
        self.answering = self._new_answering()

    def begin(self, pictures: Sequence[Picture]) -> list[Failure]:
        """Encode pictures and queue the questions about them; returns those that can't be."""
        failures: list[Failure] = []
        pending = list(pictures)
        while pending:
            batch = pending[: self._annotator.batch_size]
            reason = None
            try:
                encoded = self._model.encode(batch)
            except (MemoryError, RuntimeError) as error:  # CUDA's own is a RuntimeError too
                reason = _out_of_memory(error)
            if reason is None:
                del pending[: len(batch)]
                for picture, features in zip(batch, encoded, strict=True):
                    self.open[self._begun] = _Open(picture, features)
                    self._ask_open_questions(self._begun)
                    self._begun += 1
            elif not self._halve(len(batch)):
                failures.append(_failure(pending.pop(0), reason))
        return failures

    def go_on(self) -> list[Record | Failure]:
        """Wait for the next answers; returns the pictures that are whole with them."""
        reason = None
        try:
            found = self.answering.answers()
        except (MemoryError, RuntimeError) as error:
            reason = _out_of_memory(error)
        outcomes: list[Record | Failure] = []
        if reason is not None:
            # outside of the handler, so that the failed step's tensors are gone
            if not self._halve(self._annotator.batch_size):
                number = next(iter(self.open))
                outcomes.append(_failure(self.open.pop(number).picture, reason))
            self.answering = self._new_answering()
            for number in self.open:
                self._ask_open_questions(number)
            return outcomes
        for ticket, answer in found:
            number, place = self._tickets.pop(ticket)
            one = self.open[number]
            one.answers[place] = answer
            if len(one.answers) == len(self._recipe.questions):
                outcomes.append(_record(self.open.pop(number)))
        return outcomes

    def _ask_open_questions(self, number: int) -> None:
        one = self.open[number]
        for place, question in enumerate(self._recipe.questions):
            if place not in one.answers:
                self._tickets[self._asked] = number, place
                self.answering.ask(self._asked, one.features, question)
                self._asked += 1

    def _new_answering(self) -> Answering:
        self._tickets.clear()
        return self._model.answering(self._annotator.generation, self._annotator.batch_size)

    def _halve(self, tried: int) -> bool:
        """Whether there is a smaller batch to try."""
        give_back_freed_memory()
        smaller = max(1, min(self._annotator.batch_size, tried) // 2)
        self._annotator.batch_size = smaller
        return tried > 1


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
