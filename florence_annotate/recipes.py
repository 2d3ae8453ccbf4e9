"""Which questions a job asks about each picture, and how the answers read as instances.

With classes, three strategies: `od` asks `<OD>` once and maps its labels; `open-vocabulary` asks
one prompt a class; `grounding` asks one prompt that holds all classes. `auto` decides for each
class: `<OD>` where the checkpoint is known to say the class or a synonym, its own prompt otherwise.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum

from florence_annotate import parsing
from florence_annotate.classes import ClassList, ClassSpec
from florence_annotate.errors import UsageError
from florence_annotate.tasks import GROUNDING, OD, OPEN_VOCABULARY, Task
from florence_annotate.types import Dropped, Instance, Question, Record

_PHRASE_SEPARATOR = "<and>"
"""The control token that stands between the phrases of one grounding prompt."""

_CONTROL_TOKEN = re.compile(r"</?[a-z_]+(_\d+)?>")


class Strategy(StrEnum):
    AUTO = "auto"
    OD = "od"
    OPEN_VOCABULARY = "open-vocabulary"
    GROUNDING = "grounding"


@dataclass(frozen=True, slots=True)
class DetectionRecipe:
    """Labels and boxes, by whichever questions."""

    questions: tuple[Question, ...]

    def read(self, record: Record) -> tuple[list[Instance], list[Dropped]]:
        """Instances of all answers in pixels, and what could not be read as one.

        The answer to an open-vocabulary prompt is about that prompt, whatever phrase the model
        repeated before the boxes, so its instances carry the prompt as their label.
        """
        instances: list[Instance] = []
        dropped: list[Dropped] = []
        for answer in record.answers:
            found, unreadable = parsing.read(answer, record.width, record.height)
            if answer.question.task == OPEN_VOCABULARY:
                asked = answer.question.text or ""
                found = [replace(instance, label=asked) for instance in found]
            instances += found
            dropped += unreadable
        return instances, dropped


@dataclass(frozen=True, slots=True)
class Plan:
    """A recipe, and for each class the task that finds it."""

    recipe: DetectionRecipe
    routes: tuple[tuple[str, str], ...]
    """(class name, task token); empty where there are no classes."""


def plan(
    task: Task, strategy: Strategy, classes: ClassList | None, known_labels: Collection[str]
) -> Plan:
    """Decide the questions of a job, once, before any picture is read.

    `known_labels` are those that the checkpoint's `<OD>` is known to say. Raises UsageError where
    the task and the strategy contradict each other, or a class can't be asked for.
    """
    strategy = _settle(task, strategy, classes)
    if classes is None:
        return Plan(DetectionRecipe((Question(OD),)), ())
    by_od = [
        strategy is Strategy.OD or (strategy is Strategy.AUTO and _is_known(spec, known_labels))
        for spec in classes.classes
    ]
    if strategy is Strategy.GROUNDING:
        phrases = [_askable(spec) for spec in classes.classes]
        questions = [Question(GROUNDING, _PHRASE_SEPARATOR.join(phrases))]
        routes = [(spec.name, GROUNDING) for spec in classes.classes]
    else:
        questions = [Question(OD)] if any(by_od) else []
        routes = []
        for spec, is_by_od in zip(classes.classes, by_od, strict=True):
            routes.append((spec.name, OD if is_by_od else OPEN_VOCABULARY))
            if not is_by_od:
                questions.append(Question(OPEN_VOCABULARY, _askable(spec)))
    return Plan(DetectionRecipe(tuple(questions)), tuple(routes))


def asked_by_prompt(questions: Collection[Question], classes: ClassList) -> frozenset[int]:
    """Ids of the classes that have an open-vocabulary prompt of their own."""
    texts = {question.text for question in questions if question.task == OPEN_VOCABULARY}
    return frozenset(i for i, spec in enumerate(classes.classes) if spec.question in texts)


def never_asked(questions: Collection[Question], classes: ClassList) -> tuple[str, ...]:
    """Names of the classes that none of the questions can have found."""
    if any(question.task == OD for question in questions):
        return ()
    phrases = {phrase for question in questions for phrase in (question.text or "").split("<and>")}
    return tuple(spec.name for spec in classes.classes if spec.question not in phrases)


_STRATEGY_OF_TASK = {
    OD: Strategy.OD,
    OPEN_VOCABULARY: Strategy.OPEN_VOCABULARY,
    GROUNDING: Strategy.GROUNDING,
}


def _settle(task: Task, strategy: Strategy, classes: ClassList | None) -> Strategy:
    implied = _STRATEGY_OF_TASK[task.token]
    if task.token != OD:
        if strategy not in (Strategy.AUTO, implied):
            raise UsageError(
                f"--task {task.name} and --strategy {strategy} contradict each other: "
                "leave one of them out"
            )
        strategy = implied
    if classes is None and strategy in (Strategy.OPEN_VOCABULARY, Strategy.GROUNDING):
        raise UsageError(
            f"{strategy} asks for classes by name: give them with --classes or --classes-file"
        )
    return strategy


def _is_known(spec: ClassSpec, known_labels: Collection[str]) -> bool:
    alone = ClassList([replace(spec, prompt=None)])
    return any(alone.find(label) is not None for label in known_labels)


def _askable(spec: ClassSpec) -> str:
    if found := _CONTROL_TOKEN.search(spec.question):
        raise UsageError(
            f"class {spec.name!r} can't be asked for: the model would read {found[0]!r} in it as a "
            "control token; give the class another prompt in a --classes-file"
        )
    return spec.question
