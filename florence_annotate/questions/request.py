"""What a job is to ask, as the user says it, and what contradicts itself in that."""

from dataclasses import dataclass
from enum import StrEnum

from florence_annotate.classes import ClassList
from florence_annotate.errors import UsageError
from florence_annotate.labels.boxes import RegionsOf
from florence_annotate.questions.texts import TextOf
from florence_annotate.tasks import (
    GROUNDING,
    OD,
    OPEN_VOCABULARY,
    PHRASE_SEPARATOR,
    SEGMENTATION,
    Gives,
    Takes,
    Task,
    control_token_in,
)


class Strategy(StrEnum):
    AUTO = "auto"
    OD = "od"
    OPEN_VOCABULARY = "open-vocabulary"
    GROUNDING = "grounding"
    SEGMENTATION = "segmentation"


BY_CLASS = {
    OD: Strategy.OD,
    OPEN_VOCABULARY: Strategy.OPEN_VOCABULARY,
    GROUNDING: Strategy.GROUNDING,
    SEGMENTATION: Strategy.SEGMENTATION,
}
"""The tasks that find classes, and the strategy that each stands for."""


class RecipeName(StrEnum):
    INSTANCE_SEGMENTATION = "instance-segmentation"
    DESCRIBE = "describe"
    CAPTION_GROUNDING = "caption-grounding"
    VERIFY = "verify"


@dataclass(frozen=True, slots=True)
class Request:
    """What a job is to ask, as the user says it."""

    task: Task
    strategy: Strategy = Strategy.AUTO
    classes: ClassList | None = None
    recipe: RecipeName | None = None
    text: str | None = None
    """One text for all pictures."""
    texts: TextOf | None = None
    """The text of each picture."""
    regions: RegionsOf | None = None
    """The regions of each picture."""
    has_tiles: bool = False

    def refuse_contradictions(self) -> None:
        """Raise UsageError for what the task has no use for, and for what it lacks."""
        task = self.task
        needs_text = task.takes is Takes.TEXT and self.classes is None
        problem = None
        if self.text is not None and not self.text.strip():
            problem = "--text is empty: say what to look for, or leave it out"
        elif self.text is not None and self.texts is not None:
            problem = "give --text or --texts, not both"
        elif (self.text or self.texts) and task.takes is not Takes.TEXT:
            problem = (
                f"--task {task.name} takes no text: choose --task grounding, open-vocabulary or "
                "segmentation, or leave --text and --texts out"
            )
        elif self.text and control_token_in(self.text.replace(PHRASE_SEPARATOR, "")):
            problem = "--text holds what the model reads as a control token: leave that out"
        elif needs_text and self.text is None and self.texts is None:
            problem = f"--task {task.name} needs --classes, --text or --texts"
        elif task.takes is Takes.REGION and self.regions is None:
            problem = f"--task {task.name} needs --regions: a COCO file or a YOLO folder with boxes"
        elif self.regions is not None and task.takes is not Takes.REGION:
            problem = (
                f"--task {task.name} asks about whole pictures: choose --task region-to-…, or "
                "leave --regions out"
            )
        elif (
            self.classes is not None
            and self.recipe is not RecipeName.CAPTION_GROUNDING
            and task.takes is Takes.NOTHING
            and not task.gives.has_labels
        ):
            problem = f"--task {task.name} names no classes: leave --classes out"
        elif self.strategy is not Strategy.AUTO and self._has_no_strategy():
            problem = f"--strategy {self.strategy} is a way to find classes: leave it out here"
        if self.has_tiles and task.is_about_whole_image:
            problem = f"--task {task.name} is about the whole picture: leave --tiles out"
        elif self.has_tiles and self.recipe is RecipeName.CAPTION_GROUNDING:
            problem = f"--recipe {self.recipe} is about the whole picture: leave --tiles out"
        if self.recipe is RecipeName.CAPTION_GROUNDING:
            if task.token != OD and (task.gives is not Gives.TEXT or "caption" not in task.name):
                problem = "--recipe caption-grounding begins with a caption: leave --task out"
        elif self.recipe is not None and not task.gives.has_boxes:
            problem = f"--recipe {self.recipe} begins with boxes, and --task {task.name} gives none"
        if problem:
            raise UsageError(problem)

    def _has_no_strategy(self) -> bool:
        is_given = self.text is not None or self.texts is not None or self.regions is not None
        is_other = self.task.token not in BY_CLASS or self.recipe is RecipeName.CAPTION_GROUNDING
        return is_given or is_other
