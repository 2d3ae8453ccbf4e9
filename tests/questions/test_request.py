"""What a user may ask for, and what contradicts itself."""

import pytest

from florence_annotate import classes, tasks
from florence_annotate.classes import ClassList
from florence_annotate.errors import UsageError
from florence_annotate.questions import planning
from florence_annotate.questions.recipes import RecipeName
from florence_annotate.questions.request import Request, Strategy, finds_classes
from florence_annotate.tasks import PromptGives
from florence_annotate.types import Question

DETECTION = tasks.find("detection")
CAPTION = tasks.find("caption")
TAGS, FOUND = (tasks.PROMPTS[gives] for gives in (PromptGives.TEXT, PromptGives.BOXES))


KNOWN = {"car", "person"}


def questions(
    class_list: ClassList | None, strategy: Strategy = Strategy.AUTO, task: str = "detection"
) -> tuple[Question, ...]:
    return planning.plan(Request(tasks.find(task), strategy, class_list), KNOWN).questions


@pytest.mark.parametrize("strategy", [Strategy.OPEN_VOCABULARY, Strategy.GROUNDING])
def test_asking_by_name_without_names_is_refused(strategy: Strategy) -> None:
    with pytest.raises(UsageError, match="--classes"):
        questions(None, strategy)


def test_contradicting_task_and_strategy_are_refused() -> None:
    with pytest.raises(UsageError, match="contradict"):
        questions(classes.parse_names("car"), Strategy.OD, task="grounding")


def test_regions_are_for_the_tasks_that_take_them() -> None:
    with pytest.raises(UsageError, match="leave --regions out"):
        planning.plan(Request(DETECTION, regions=lambda ref: ()), KNOWN)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request(tasks.find("grounding"), text=" "), "--text is empty"),
        (Request(tasks.find("grounding"), text="a", texts=lambda ref: "a"), "not both"),
        (Request(tasks.find("ocr"), text="a"), "grounding, open-vocabulary or segmentation"),
        (Request(tasks.find("grounding"), text="a </s>"), "control token"),
        (Request(tasks.find("segmentation")), "needs --classes, --text or --texts"),
        (Request(tasks.find("region-to-ocr")), "needs --regions"),
        (Request(tasks.find("caption"), classes=classes.parse_names("a")), "names no classes"),
        (Request(tasks.find("ocr"), Strategy.OD), "leave it out here"),
        (Request(tasks.find("caption"), has_tiles=True), "--task caption is about the whole image"),
        (
            Request(DETECTION, recipe=RecipeName.CAPTION_GROUNDING, has_tiles=True),
            "--recipe caption-grounding is about the whole image",
        ),
        (
            Request(tasks.find("ocr"), recipe=RecipeName.CAPTION_GROUNDING),
            "begins with a caption: leave --task out",
        ),
        (
            Request(tasks.find("caption"), recipe=RecipeName.DESCRIBE),
            "--recipe describe begins with boxes, and --task caption gives none",
        ),
        (Request(TAGS, text="a", prompt="<T>"), "--prompt is asked as it is"),
        (Request(TAGS, regions=lambda ref: (), prompt="<T>"), "--prompt with --gives text asks"),
        (
            Request(TAGS, classes=classes.parse_names("a"), prompt="<T>"),
            "--prompt with --gives text names no classes",
        ),
        (
            Request(tasks.PROMPTS[PromptGives.QUADS], classes=classes.parse_names("a"), prompt="a"),
            "--gives quads names no classes",
        ),
        (Request(FOUND, Strategy.GROUNDING, prompt="<T>"), "leave it out here"),
        (Request(TAGS, has_tiles=True, prompt="<T>"), "--gives text is about the whole image"),
        (
            Request(TAGS, recipe=RecipeName.CAPTION_GROUNDING, prompt="<T>"),
            "begins with a caption: leave --prompt out",
        ),
        (
            Request(TAGS, recipe=RecipeName.DESCRIBE, prompt="<T>"),
            "--prompt with --gives text gives none",
        ),
        (
            Request(DETECTION, also=(tasks.find("ocr-regions"),)),
            "--task detection and --task ocr-regions both do",
        ),
        (
            Request(DETECTION, also=(FOUND,), prompt="<T>"),
            "--task detection and --prompt with --gives boxes both do",
        ),
        (
            Request(tasks.find("grounding"), texts=lambda ref: "a", also=(CAPTION,)),
            "--texts and --regions are for one task alone",
        ),
        (
            Request(CAPTION, recipe=RecipeName.CAPTION_GROUNDING, also=(tasks.find("ocr"),)),
            "begins with one caption",
        ),
    ],
)
def test_what_contradicts_itself_is_refused_with_what_to_do(
    request_: Request, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        request_.refuse_contradictions()


def test_the_tasks_that_find_classes_are_od_and_those_asked_by_name() -> None:
    found = {task.name for task in tasks.TASKS if finds_classes(task)}
    assert found == {"detection", "open-vocabulary", "grounding", "segmentation"}


def test_every_strategy_but_auto_and_od_is_the_name_of_its_task() -> None:
    for strategy in set(Strategy) - {Strategy.AUTO, Strategy.OD}:
        assert tasks.find(strategy).name == strategy
