"""Joins a model and a recipe: decoded images in, records of answers out."""

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

    `batch_size` is the most views that are encoded, and the most questions that are answered, at
    once. When memory runs out, it is halved for the rest of the job.
    """

    model: Model
    recipe: Recipe
    generation: Generation
    batch_size: int

    def annotate(self, batches: Iterable[Sequence[Loaded]]) -> Iterator[list[Record | Failure]]:
        """Annotate batches of images; yields a record or a failure for each, some at a time.

        They come in the order in which they get ready. The next batch is taken as soon as one of
        its questions could be asked, so that images with long answers don't hold up the others.
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
    """An image whose answers are not all there yet."""

    picture: Picture
    features: list[Any] = field(default_factory=list)
    """Those of the whole image, then those of each tile."""
    asked: int = 0
    """How many questions have been asked about it."""
    answers: dict[int, Answer] = field(default_factory=dict)
    """Answers by the index of their question, in the order of asking."""

    def features_for(self, question: Question) -> Any:
        view = question.view
        return self.features[0 if view is None else 1 + self.picture.tiles.index(view)]


class _Work:
    """The images that wait to be encoded, and those whose questions are being answered."""

    def __init__(self, annotator: Annotator) -> None:
        self._annotator = annotator
        self._model, self._recipe = annotator.model, annotator.recipe
        self.waiting: deque[Picture] = deque()
        """Not encoded yet."""
        self.open: dict[int, _Open] = {}
        """Encoded, and not yet done; by number, in the order in which they were encoded."""
        self._begun = 0
        self._tickets: dict[int, tuple[int, int]] = {}
        """Ticket of a question in flight → the image's number, and the question's index."""
        self._asked = 0
        self.answering = self._new_answering()

    @property
    def is_due(self) -> bool:
        """Whether enough views for a whole batch wait."""
        views = sum(len(picture.pixels) for picture in self.waiting)
        return views >= self._annotator.batch_size

    def go_on(self) -> list[Record | Failure]:
        """Encode waiting images, or else wait for the next answers.

        Returns the records and failures of the images that are done by that.
        """
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
            number, index = self._tickets.pop(ticket)
            one = self.open[number]
            one.answers[index] = answer
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
        """Encode waiting images, a batch of views or a little more, and queue their questions.

        Returns the outcomes of images about which there is nothing to ask, or nothing can be asked.
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
        """The features of views, which are encoded a batch at a time."""
        size = self._annotator.batch_size
        batches = [views[start : start + size] for start in range(0, len(views), size)]
        return iter([each for batch in batches for each in self._model.encode(batch)])

    def _problem(self, questions: Sequence[Question]) -> str | None:
        """Why one of the questions can't be asked; None where all can."""
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
        """After memory ran out: go on with half of the batch size.

        Images that are not done wait again, so that they hold no memory. Where an image was alone
        with one question at a time, its failure is returned.
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
    answers = tuple(one.answers[index] for index in sorted(one.answers))
    return Record(picture.ref, picture.sha, picture.width, picture.height, answers)


def _unaskable(one: _Open, problem: str) -> Failure:
    return Failure(one.picture.ref, "annotate", "unaskable", f"{problem}: change the text")


def _failure(picture: Picture, reason: str) -> Failure:
    message = f"not enough memory on the device for this image alone: {reason}"
    return Failure(picture.ref, "annotate", "out-of-memory", message)
