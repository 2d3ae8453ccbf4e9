"""Recipes: several questions about one image, some of which follow from earlier answers.

`RecipeName` is the one table of them; `--recipe`, its help, its contradictions and the page about
tasks are made from it. A new recipe is one member there, the function that makes its plan, and
where no class asks as it needs, such a class.

An image is encoded once, however many rounds of questions there are. What is asked never depends on
the policy: a mask is asked for every box that was parsed, and the policy drops boxes later.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Self

from florence_annotate.answers import reading
from florence_annotate.errors import UsageError
from florence_annotate.questions.asking import about_region
from florence_annotate.questions.plan import Plan, ask_all, ask_also
from florence_annotate.tasks import (
    CAPTION,
    GROUNDING,
    REGION_TO_DESCRIPTION,
    REGION_TO_SEGMENTATION,
    TASKS,
    Gives,
    Task,
    by_token,
)
from florence_annotate.types import Picture, Question, Recipe, Record

MOST_BOXES = 100
"""The most boxes of an image that follow-up questions are asked about."""


@dataclass(frozen=True, slots=True)
class AskAboutBoxes:
    """Another recipe's questions, then one about each box that their answers point at."""

    finding: Recipe
    task: str

    def first(self, picture: Picture) -> Sequence[Question]:
        return self.finding.first(picture)

    def then(self, record: Record) -> Sequence[Question]:
        if _has_asked(record, self.task):
            return ()
        if further := self.finding.then(record):
            return further
        found = dict.fromkeys(one.box for one in reading.read(record).instances)
        return [
            about_region(self.task, box, record.width, record.height)
            for box in list(found)[:MOST_BOXES]
        ]


@dataclass(frozen=True, slots=True)
class GroundCaption:
    """A caption of the image, then the boxes of the phrases in it: labels without a class list."""

    caption: str
    """The token of the task that gives the caption."""

    def first(self, picture: Picture) -> Sequence[Question]:
        return (Question(self.caption),)

    def then(self, record: Record) -> Sequence[Question]:
        captions = reading.read(record).captions
        if _has_asked(record, GROUNDING) or not captions or not captions[0].text:
            return ()
        return (Question(GROUNDING, captions[0].text),)


def _has_asked(record: Record, task: str) -> bool:
    return any(answer.question.task == task for answer in record.answers)


def _ask_about_boxes(finding: Plan, task: str) -> Plan:
    recipe = AskAboutBoxes(finding.recipe, task)
    return Plan(recipe, (*finding.questions, Question(task)), finding.routes)


def _segment_instances(task: Task, plan_finding: Callable[[], Plan]) -> Plan:
    return _ask_about_boxes(plan_finding(), REGION_TO_SEGMENTATION)


def _describe(task: Task, plan_finding: Callable[[], Plan]) -> Plan:
    finding = ask_also(plan_finding(), [Question(CAPTION)])
    return _ask_about_boxes(finding, REGION_TO_DESCRIPTION)


def _ground_caption(task: Task, plan_finding: Callable[[], Plan]) -> Plan:
    caption = task.token if task.gives is Gives.TEXT else CAPTION
    return Plan(GroundCaption(caption), (Question(caption), Question(GROUNDING)))


def _verify(task: Task, plan_finding: Callable[[], Plan]) -> Plan:
    """Other questions about the classes that are asked by name; see `policy.verification`."""
    finding = plan_finding()
    if not any(by_token(token).takes_one_phrase for _, token in finding.routes):
        raise UsageError(
            "--recipe verify is for classes that are asked by name, one prompt each, and this job "
            "asks for none so: name classes with --strategy open-vocabulary or segmentation"
        )
    others = (Question(task.token) for task in TASKS if task.verifies)
    return ask_all(dict.fromkeys((*finding.questions, *others)), finding.routes)


class Begins(Enum):
    """What the first questions of a recipe give."""

    BOXES = "boxes"
    CAPTION = "a caption"


class RecipeName(StrEnum):
    """The recipes by the names that `--recipe` takes, in the order of its help."""

    asks: str
    """What is asked, for people."""
    gives: str
    """What the dataset gets from it, for people."""
    begins_with: Begins
    """Boxes are found by the job's task and strategy; a caption is about the whole image."""
    plan: Callable[[Task, Callable[[], Plan]], Plan]
    """The plan, from the job's task and from a function that plans how its classes are found.

    Raises UsageError for a job that the recipe makes no sense for.
    """

    def __new__(
        cls,
        name: str,
        asks: str,
        gives: str,
        begins_with: Begins,
        plan: Callable[[Task, Callable[[], Plan]], Plan],
    ) -> Self:
        recipe = str.__new__(cls, name)
        recipe._value_, recipe.asks, recipe.gives = name, asks, gives
        recipe.begins_with, recipe.plan = begins_with, plan
        return recipe

    INSTANCE_SEGMENTATION = (
        "instance-segmentation",
        "boxes, then a mask of each",
        "boxes with masks",
        Begins.BOXES,
        _segment_instances,
    )
    DESCRIBE = (
        "describe",
        "boxes, then a caption of each and of the image",
        "captions, boxes with text",
        Begins.BOXES,
        _describe,
    )
    CAPTION_GROUNDING = (
        "caption-grounding",
        "a caption, then the boxes of its phrases",
        "boxes, no list",
        Begins.CAPTION,
        _ground_caption,
    )
    VERIFY = (
        "verify",
        "classes by name, and second questions that verify them",
        "classes that others know too",
        Begins.BOXES,
        _verify,
    )
