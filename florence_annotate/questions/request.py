"""What a job is to ask, as the user gives it, and which wishes contradict each other."""

from dataclasses import dataclass
from enum import StrEnum

from florence_annotate.classes import ClassList
from florence_annotate.errors import UsageError
from florence_annotate.labels.boxes import RegionsOf
from florence_annotate.questions.recipes import Begins, RecipeName
from florence_annotate.questions.texts import TextOf
from florence_annotate.tasks import (
    OD,
    PHRASE_SEPARATOR,
    TASKS,
    Gives,
    Takes,
    Task,
    control_token_in,
)
from florence_annotate.types import Question


class Strategy(StrEnum):
    """How classes are found: `od` by the labels of `<OD>`, others by the task of that name."""

    AUTO = "auto"
    OD = "od"
    OPEN_VOCABULARY = "open-vocabulary"
    GROUNDING = "grounding"
    SEGMENTATION = "segmentation"


def finds_classes(task: Task) -> bool:
    """Whether a class list says what a task is asked: `<OD>`, and all that are asked by name."""
    return task.token == OD or (task.is_given_names and task.has_locations)


@dataclass(frozen=True, slots=True)
class Request:
    """What a job is to ask, as the user gives it."""

    task: Task
    """The one that may find things; texts, regions, classes and a recipe are about it."""
    strategy: Strategy = Strategy.AUTO
    classes: ClassList | None = None
    recipe: RecipeName | None = None
    text: str | None = None
    """One text for all images."""
    texts: TextOf | None = None
    """The text of each image."""
    regions: RegionsOf | None = None
    """The regions of each image."""
    has_tiles: bool = False
    prompt: str | None = None
    """The text of a task that is a prompt of the user's own."""
    also: tuple[Task, ...] = ()
    """Further tasks, whose answers are texts about the whole image."""

    def question_of(self, task: Task) -> Question:
        """The question of a task that takes nothing from the user but its prompt, if that."""
        return Question(task.token, self.prompt if task.is_prompt else None)

    def refuse_contradictions(self) -> None:
        """Raise UsageError for what the task or recipe has no use for, and for what it lacks."""
        task, flag = self.task, _flag_of(self.task)
        begins_with_caption = self._begins_with(Begins.CAPTION)
        needs_text = task.takes is Takes.TEXT and self.classes is None
        problem = None
        if finding := [other for other in self.also if not other.is_about_whole_image]:
            problem = (
                f"of several tasks one may point at things, and {flag} and {_flag_of(finding[0])} "
                "both do: ask one of them in another output (-o)"
            )
        elif self.also and (self.texts is not None or self.regions is not None):
            problem = "--texts and --regions are for one task alone: ask the others in another job"
        elif self.text is not None and not self.text.strip():
            problem = "--text is empty: say what to look for, or leave it out"
        elif self.text is not None and self.texts is not None:
            problem = "give --text or --texts, not both"
        elif (self.text or self.texts) and task.is_prompt:
            problem = "--prompt is asked as it is: write the text into it, and leave --text out"
        elif (self.text or self.texts) and task.takes is not Takes.TEXT:
            *others, last = sorted(other.name for other in TASKS if other.takes is Takes.TEXT)
            problem = (
                f"--task {task.name} takes no text: choose --task {', '.join(others)} or {last}, "
                "or leave --text and --texts out"
            )
        elif self.text and control_token_in(self.text.replace(PHRASE_SEPARATOR, "")):
            problem = "--text holds what the model reads as a control token: leave that out"
        elif needs_text and self.text is None and self.texts is None:
            problem = f"--task {task.name} needs --classes, --text or --texts"
        elif task.takes is Takes.REGION and self.regions is None:
            problem = f"--task {task.name} needs --regions: a COCO file or a YOLO folder with boxes"
        elif self.regions is not None and task.takes is not Takes.REGION:
            problem = (
                f"{flag} asks about whole images: choose --task region-to-…, or leave --regions out"
            )
        elif (
            self.classes is not None
            and not begins_with_caption
            and task.takes is Takes.NOTHING
            and not task.has_labels
        ):
            problem = f"{flag} names no classes: leave --classes out"
        elif self.strategy is not Strategy.AUTO and self._has_no_strategy():
            problem = f"--strategy {self.strategy} is a way to find classes: leave it out here"
        if self.has_tiles and task.is_about_whole_image:
            problem = f"{flag} is about the whole image: leave --tiles out"
        elif self.has_tiles and begins_with_caption:
            problem = f"--recipe {self.recipe} is about the whole image: leave --tiles out"
        if begins_with_caption and self.also:
            problem = f"--recipe {self.recipe} begins with one caption: give one task, or none"
        elif begins_with_caption:
            if task.token != OD and (task.gives is not Gives.TEXT or "caption" not in task.name):
                problem = (
                    f"--recipe {self.recipe} begins with a caption: leave {flag.split()[0]} out"
                )
        elif self.recipe is not None and not task.gives.has_boxes:
            problem = f"--recipe {self.recipe} begins with boxes, and {flag} gives none"
        if problem:
            raise UsageError(problem)

    def _begins_with(self, beginning: Begins) -> bool:
        return self.recipe is not None and self.recipe.begins_with is beginning

    def _has_no_strategy(self) -> bool:
        is_given = self.text is not None or self.texts is not None or self.regions is not None
        return is_given or not finds_classes(self.task) or self._begins_with(Begins.CAPTION)


def _flag_of(task: Task) -> str:
    """How a task was chosen."""
    if task.is_prompt:
        return f"--prompt with --gives {task.token.partition(':')[2]}"
    return f"--task {task.name}"
