"""Which questions a job asks."""

from dataclasses import replace

import pytest

from florence_annotate import classes, tasks
from florence_annotate.classes import ClassList, ClassSpec
from florence_annotate.errors import UsageError
from florence_annotate.questions import planning
from florence_annotate.questions.asking import AskTiles
from florence_annotate.questions.recipes import RecipeName
from florence_annotate.questions.request import Request, Strategy
from florence_annotate.tasks import (
    GROUNDING,
    OD,
    OPEN_VOCABULARY,
    PROMPTS,
    REGION_TO_SEGMENTATION,
    Gives,
    PromptGives,
    Takes,
    of,
    prompt,
)
from florence_annotate.types import Question

DETECTION = tasks.find("detection")


KNOWN = {"car", "person"}


def questions(
    class_list: ClassList | None, strategy: Strategy = Strategy.AUTO, task: str = "detection"
) -> tuple[Question, ...]:
    return planning.plan(Request(tasks.find(task), strategy, class_list), KNOWN).questions


def test_several_tasks_are_asked_in_one_plan_and_none_twice() -> None:
    caption, detailed = tasks.find("caption"), tasks.find("detailed-caption")
    together = Request(DETECTION, also=(caption, detailed))
    asked = planning.plan(together, KNOWN).questions
    assert [of(question).name for question in asked] == ["detection", "caption", "detailed-caption"]
    described = planning.plan(replace(together, recipe=RecipeName.DESCRIBE), KNOWN)
    names = [of(question).name for question in described.questions]
    assert names == ["detection", "caption", "region-to-description", "detailed-caption"]


def test_a_prompt_is_asked_as_it_is() -> None:
    tags = PROMPTS[PromptGives.TEXT]
    alone = planning.plan(Request(tags, prompt="<TAGS> {input} <od>"), KNOWN).questions
    assert alone == (Question("prompt:text", "<TAGS> {input} <od>"),)
    assert prompt(alone[0]) == "<TAGS> {input} <od>"
    beside = Request(DETECTION, prompt="<TAGS>", also=(tags,))
    assert planning.plan(beside, KNOWN).questions == (
        Question(OD),
        Question("prompt:text", "<TAGS>"),
    )


def test_classes_are_laid_over_the_labels_of_a_prompt() -> None:
    request = Request(
        PROMPTS[PromptGives.BOXES], classes=classes.parse_names("hat"), prompt="<FIND>"
    )
    plan = planning.plan(request, KNOWN)
    assert (plan.questions, plan.routes) == ((Question("prompt:boxes", "<FIND>"),), ())
    assert plan.samples == plan.questions


def test_boxes_of_a_prompt_are_asked_for_masks() -> None:
    request = Request(
        PROMPTS[PromptGives.BOXES], recipe=RecipeName.INSTANCE_SEGMENTATION, prompt="<FIND>"
    )
    asked = planning.plan(request, KNOWN).questions
    assert [question.task for question in asked] == ["prompt:boxes", REGION_TO_SEGMENTATION]


def test_without_classes_detection_is_asked_once() -> None:
    assert questions(None) == (Question(OD),)


def test_auto_asks_od_for_known_labels_and_a_prompt_for_others() -> None:
    named = classes.parse_names("cars,red hat,person")
    plan = planning.plan(Request(DETECTION, Strategy.AUTO, named), KNOWN)
    assert plan.questions == (Question(OD), Question(OPEN_VOCABULARY, "red hat"))
    assert plan.routes == (("cars", OD), ("red hat", OPEN_VOCABULARY), ("person", OD))


def test_auto_knows_a_class_by_its_synonym() -> None:
    vehicle = ClassList([ClassSpec("vehicle", ("car",), prompt="a vehicle")])
    assert questions(vehicle) == (Question(OD),)


def test_auto_asks_no_od_where_no_class_is_known() -> None:
    asked = questions(classes.parse_names("hat,shoe"))
    assert asked == (Question(OPEN_VOCABULARY, "hat"), Question(OPEN_VOCABULARY, "shoe"))


def test_open_vocabulary_asks_the_prompt_of_a_class() -> None:
    car = ClassList([ClassSpec("car", prompt="a parked car")])
    assert questions(car, Strategy.OPEN_VOCABULARY) == (Question(OPEN_VOCABULARY, "a parked car"),)


def test_grounding_asks_one_prompt_for_all() -> None:
    asked = questions(classes.parse_names("car,hat"), Strategy.GROUNDING)
    assert asked == (Question(GROUNDING, "car<and>hat"),)


def test_a_class_with_a_control_token_in_it_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="'hat</s>'"):
        questions(classes.parse_names("hat</s>"))


def test_a_task_that_is_asked_by_name_follows_from_its_facts_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counting = tasks.Task(
        "counting", "<COUNT>", "Count {input}", Takes.TEXT, Gives.BOXES, takes_one_phrase=True
    )
    monkeypatch.setitem(tasks._BY_TOKEN, "<COUNT>", counting)
    named = classes.parse_names("car,hat")
    plan = planning.plan(Request(counting, classes=named), KNOWN)
    assert plan.questions == (Question("<COUNT>", "car"), Question("<COUNT>", "hat"))
    assert plan.routes == (("car", "<COUNT>"), ("hat", "<COUNT>"))
    assert planning.plan(Request(counting, text="a hat"), KNOWN).questions == (
        Question("<COUNT>", "a hat"),
    )
    with pytest.raises(UsageError, match="contradict"):
        planning.plan(Request(counting, Strategy.GROUNDING, named), KNOWN)


def test_what_differs_from_image_to_image_has_an_example_for_trials() -> None:
    plan = planning.plan(Request(tasks.find("grounding"), texts=lambda ref: "x"), KNOWN)
    assert plan.questions == (Question(GROUNDING),)
    (sample,) = plan.samples
    assert sample.task == GROUNDING and sample.text
    regions = planning.plan(Request(tasks.find("region-to-ocr"), regions=lambda ref: ()), KNOWN)
    assert regions.samples[0].text == "<loc_250><loc_250><loc_750><loc_750>"


def test_tiles_are_asked_of_every_recipe() -> None:
    plan = planning.plan(Request(DETECTION, has_tiles=True), KNOWN)
    assert isinstance(plan.recipe, AskTiles) and plan.questions == (Question(OD),)
