import contextlib

import pytest

from florence_annotate import classes, tasks
from florence_annotate.classes import ClassList, ClassSpec
from florence_annotate.errors import UsageError
from florence_annotate.questions import coverage, planning
from florence_annotate.questions.recipes import RecipeName
from florence_annotate.questions.request import Request, Strategy
from florence_annotate.tasks import (
    CAPTION,
    DENSE_CAPTIONS,
    GROUNDING,
    MORE_DETAILED_CAPTION,
    OD,
    OPEN_VOCABULARY,
)
from florence_annotate.types import Question

DETECTION = tasks.find("detection")
KNOWN = {"car", "person"}


def questions(
    class_list: ClassList | None, strategy: Strategy = Strategy.AUTO, task: str = "detection"
) -> tuple[Question, ...]:
    return planning.plan(Request(tasks.find(task), strategy, class_list), KNOWN).questions


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


@pytest.mark.parametrize("name", ["open-vocabulary", "<OPEN_VOCABULARY_DETECTION>", "<od>"])
def test_a_task_is_found_by_name_or_token(name: str) -> None:
    assert tasks.find(name).token in (OPEN_VOCABULARY, OD)


def test_a_task_that_does_not_exist_is_refused_with_the_list() -> None:
    with pytest.raises(UsageError, match="detection, open-vocabulary"):
        tasks.find("detect")


def test_contradicting_task_and_strategy_are_refused() -> None:
    with pytest.raises(UsageError, match="contradict"):
        questions(classes.parse_names("car"), Strategy.OD, task="grounding")


@pytest.mark.parametrize("strategy", [Strategy.OPEN_VOCABULARY, Strategy.GROUNDING])
def test_asking_by_name_without_names_is_refused(strategy: Strategy) -> None:
    with pytest.raises(UsageError, match="--classes"):
        questions(None, strategy)


def test_a_class_with_a_control_token_in_it_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="'hat</s>'"):
        questions(classes.parse_names("hat</s>"))


def test_classes_that_no_question_can_have_found_are_known() -> None:
    asked = questions(classes.parse_names("hat,shoe"))
    with pytest.raises(UsageError, match="can find scarf:"):
        coverage.refuse_unasked(asked, classes.parse_names("hat,scarf"))
    coverage.refuse_unasked((Question(OD),), classes.parse_names("anything"))
    caption = Question(GROUNDING, "A hat beside a shoe.")
    coverage.refuse_unasked((caption,), classes.parse_names("shoe,hat"))
    with pytest.raises(UsageError, match="can find scarf:"):
        coverage.refuse_unasked((caption,), classes.parse_names("hat,scarf"))


def test_prompts_are_the_sentences_of_the_checkpoints_processor() -> None:
    from transformers import Florence2Processor

    with_input, without = {}, {}
    for task in tasks.TASKS:
        (with_input if "{input}" in task.prompt else without)[task.token] = task.prompt

    class Bare(Florence2Processor):  # type: ignore[misc]
        """The tables are made in a constructor that wants a tokenizer only after them."""

        def __init__(self) -> None:
            with contextlib.suppress(AttributeError):
                super().__init__(image_processor=None, tokenizer=None)

    reference = Bare()
    assert reference.task_prompts_with_input == with_input
    assert reference.task_prompts_without_inputs == without


@pytest.mark.parametrize("name", ["instance-segmentation", "describe"])
def test_recipes_ask_for_the_classes_and_nothing_else(name: str) -> None:
    named = classes.parse_names("hat,shoe")
    request = Request(DETECTION, Strategy.OPEN_VOCABULARY, named, RecipeName(name))
    asked = planning.plan(request, KNOWN).questions
    with pytest.raises(UsageError, match="can find scarf:"):
        coverage.refuse_unasked(asked, classes.parse_names("hat,scarf"))


def test_verify_asks_those_who_were_not_given_the_names() -> None:
    named = classes.parse_names("thing 1,thing 2")
    request = Request(DETECTION, Strategy.AUTO, named, RecipeName.VERIFY)
    plan = planning.plan(request, KNOWN)
    coverage.refuse_unverified(plan.questions)
    assert [q.text for q in plan.questions] == ["thing 1", "thing 2", None, None, None, None]
    witnesses = {q.task for q in plan.questions if q.text is None}
    assert witnesses == {OD, DENSE_CAPTIONS, CAPTION, MORE_DETAILED_CAPTION}


def test_verify_is_for_classes() -> None:
    request = Request(tasks.find("open-vocabulary"), text="a hat", recipe=RecipeName.VERIFY)
    with pytest.raises(UsageError, match="name classes"):
        planning.plan(request, KNOWN)


def test_regions_are_for_the_tasks_that_take_them() -> None:
    with pytest.raises(UsageError, match="leave --regions out"):
        planning.plan(Request(DETECTION, regions=lambda ref: ()), KNOWN)
