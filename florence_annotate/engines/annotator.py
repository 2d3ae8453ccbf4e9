"""Model + recipe: images in, records out. Out of memory halves the batch."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from florence_annotate.model.memory import give_back_freed_memory, say_out_of_memory
from florence_annotate.types import (
    Answer,
    Answering,
    Failure,
    Generation,
    Loaded,
    Model,
    Picture,
    Question,
    Recipe,
    Record,
)


@dataclass(slots=True)
class Annotator:
    """Encodes each image once and asks all questions of the recipe about it, follow-ups too.

    `batch_size` bounds the images that are encoded and the questions that are answered at once.
    When memory runs out, it is halved for the rest of the job.
    """

    model: Model
    recipe: Recipe
    generation: Generation
    batch_size: int

    def annotate(self, batches: Iterable[Sequence[Loaded]]) -> Iterator[list[Record | Failure]]:
        """One record or failure an image, some at a time, as they get ready.

        The next batch is taken as soon as a question of it could be asked, so that the images
        with long answers hold nobody up. What is less than a batch of views waits for others.
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
            while work.is_due or work.answering.free <= 0:
                yield work.go_on()
        while work.waiting or work.open:
            yield work.go_on()


@dataclass(slots=True)
class _Open:
    """An image whose answers are not all there."""

    picture: Picture
    features: list[Any] = field(default_factory=list)
    """Of the whole image, then of each tile."""
    asked: int = 0
    """Questions so far."""
    answers: dict[int, Answer] = field(default_factory=dict)
    """By the place of the question among those."""

    def features_for(self, question: Question) -> Any:
        view = question.view
        return self.features[0 if view is None else 1 + self.picture.tiles.index(view)]


class _Work:
    """The images under way."""

    def __init__(self, annotator: Annotator) -> None:
        self._annotator = annotator
        self._model, self._recipe = annotator.model, annotator.recipe
        self.waiting: deque[Picture] = deque()
        """To be encoded as soon as a question could be asked."""
        self.open: dict[int, _Open] = {}
        """By number, in the order in which they were begun."""
        self._begun = 0
        self._tickets: dict[int, tuple[int, int]] = {}
        """Number of the image and place of the question."""
        self._asked = 0
        self.answering = self._new_answering()

    @property
    def is_due(self) -> bool:
        """Whether a whole batch of views waits."""
        views = sum(len(picture.pixels) for picture in self.waiting)
        return views >= self._annotator.batch_size

    def go_on(self) -> list[Record | Failure]:
        """Encode waiting images or wait for the next answers; returns what is whole by that."""
        reason = None
        try:
            if self.waiting and self.answering.free > 0:
                return self._encode()
            found = self.answering.answers()
        except (MemoryError, RuntimeError) as error:  # CUDA's own is a RuntimeError too
            reason = say_out_of_memory(error)
        if reason is not None:
            # outside of the handler, so that the failed step's tensors are gone
            return self._begin_again(reason)
        outcomes: list[Record | Failure] = []
        for ticket, answer in found:
            number, place = self._tickets.pop(ticket)
            one = self.open[number]
            one.answers[place] = answer
            if len(one.answers) == one.asked:
                record = _record(one)
                further = self._recipe.then(record)
                problem = self._problem(further)
                if further and problem is None:
                    self._ask(number, further)
                else:
                    del self.open[number]
                    outcomes.append(record if problem is None else _unaskable(one, problem))
        return outcomes

    def _encode(self) -> list[Record | Failure]:
        """Encode waiting images, a batch of views or more, and queue the questions about them.

        Returns the outcomes of those about which there is nothing to ask, or nothing can be asked.
        """
        outcomes: list[Record | Failure] = []
        begun: list[tuple[_Open, Sequence[Question], str | None]] = []
        views: list[Any] = []
        for picture in islice(self.waiting, self._annotator.batch_size):
            questions = self._recipe.first(picture)
            problem = self._problem(questions)
            begun.append((_Open(picture), questions, problem))
            views.extend(picture.pixels if questions and problem is None else ())
            if len(views) >= self._annotator.batch_size:
                break
        features = self._features(views)
        for one, questions, problem in begun:
            self.waiting.popleft()
            if not questions or problem is not None:
                outcomes.append(_record(one) if problem is None else _unaskable(one, problem))
                continue
            one.features = list(islice(features, len(one.picture.pixels)))
            self.open[self._begun] = one
            self._ask(self._begun, questions)
            self._begun += 1
        return outcomes

    def _features(self, views: Sequence[Any]) -> Iterator[Any]:
        """Features of views, encoded now, a batch at a time."""
        size = self._annotator.batch_size
        batches = [views[start : start + size] for start in range(0, len(views), size)]
        return iter([each for batch in batches for each in self._model.encode(batch)])

    def _problem(self, questions: Sequence[Question]) -> str | None:
        """Why one of the questions can't be asked, if any."""
        problems = (self._model.problem(question) for question in questions)
        return next((problem for problem in problems if problem is not None), None)

    def _ask(self, number: int, questions: Sequence[Question]) -> None:
        one = self.open[number]
        for question in questions:
            self._tickets[self._asked] = number, one.asked
            self.answering.ask(self._asked, one.features_for(question), question)
            self._asked += 1
            one.asked += 1

    def _begin_again(self, reason: str) -> list[Record | Failure]:
        """With half of the batch; the open images wait again, so that they hold no memory.

        Where an image was alone with its question, it is given up.
        """
        self.waiting.extendleft(reversed([one.picture for one in self.open.values()]))
        self.open.clear()
        was_alone = self._annotator.batch_size == 1
        self._annotator.batch_size = max(1, self._annotator.batch_size // 2)
        del self.answering
        give_back_freed_memory()
        self.answering = self._new_answering()
        return [_failure(self.waiting.popleft(), reason)] if was_alone else []

    def _new_answering(self) -> Answering:
        self._tickets.clear()
        return self._model.answering(self._annotator.generation, self._annotator.batch_size)


def _record(one: _Open) -> Record:
    picture = one.picture
    answers = tuple(one.answers[place] for place in sorted(one.answers))
    return Record(picture.ref, picture.sha, picture.width, picture.height, answers)


def _unaskable(one: _Open, problem: str) -> Failure:
    return Failure(one.picture.ref, "annotate", "unaskable", f"{problem}: change the text")


def _failure(picture: Picture, reason: str) -> Failure:
    message = f"not enough memory on the device for this image alone: {reason}"
    return Failure(picture.ref, "annotate", "out-of-memory", message)
