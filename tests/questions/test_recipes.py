"""The recipes that --recipe names."""

from dataclasses import replace

import pytest
from written_answers import answer

from florence_annotate import classes, tasks
from florence_annotate.errors import UsageError
from florence_annotate.questions import coverage, planning
from florence_annotate.questions.asking import AskAll
from florence_annotate.questions.recipes import (
    MOST_BOXES,
    AskAboutBoxes,
    GroundCaption,
    RecipeName,
)
from florence_annotate.questions.request import Request, Strategy
from florence_annotate.tasks import (
    CAPTION,
    DENSE_CAPTIONS,
    GROUNDING,
    MORE_DETAILED_CAPTION,
    OD,
    REGION_TO_DESCRIPTION,
    REGION_TO_SEGMENTATION,
    by_token,
)
from florence_annotate.types import Answer, ImageRef, Picture, Question, Record

DETECTION = tasks.find("detection")


KNOWN = {"car", "person"}


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
    verifying = {q.task for q in plan.questions if q.text is None}
    assert verifying == {OD, DENSE_CAPTIONS, CAPTION, MORE_DETAILED_CAPTION}


def test_verify_is_for_classes() -> None:
    request = Request(tasks.find("open-vocabulary"), text="a hat", recipe=RecipeName.VERIFY)
    with pytest.raises(UsageError, match="name classes"):
        planning.plan(request, KNOWN)


REF = ImageRef("a.jpg", b"/a.jpg", 1, 1)
PICTURE = Picture(REF, "", None, 100, 100)


def record(*answers: Answer) -> Record:
    return Record(REF, "", 100, 100, answers)


def test_each_box_is_asked_about_once_and_then_no_more() -> None:
    recipe = AskAboutBoxes(AskAll((Question(OD),)), REGION_TO_SEGMENTATION)
    assert recipe.first(PICTURE) == (Question(OD),)
    twice = answer("cat", 10, 20, 30, 40, "dog", 10, 20, 30, 40, "cat", 50, 60, 70, 80)
    asked = recipe.then(record(twice))
    assert len(asked) == 2 and {q.task for q in asked} == {REGION_TO_SEGMENTATION}
    assert asked[0].text == "<loc_10><loc_20><loc_30><loc_40>"
    answered = replace(twice, question=asked[0])
    assert recipe.then(record(twice, answered)) == ()


def test_a_crowd_is_asked_about_up_to_the_most_boxes() -> None:
    recipe = AskAboutBoxes(AskAll((Question(OD),)), REGION_TO_SEGMENTATION)
    crowd = [token for i in range(MOST_BOXES + 5) for token in ("cat", i, i, i + 9, i + 9)]
    assert len(recipe.then(record(answer(*crowd)))) == MOST_BOXES


def test_a_caption_is_grounded_once_and_an_empty_one_never() -> None:
    recipe = GroundCaption(CAPTION)
    assert recipe.first(PICTURE) == (Question(CAPTION),)
    caption = answer("a cat", task=CAPTION)
    assert recipe.then(record(caption)) == (Question(GROUNDING, "a cat"),)
    assert recipe.then(record(answer(task=CAPTION))) == ()
    grounded = replace(answer("a cat", 1, 2, 3, 4), question=Question(GROUNDING, "a cat"))
    assert recipe.then(record(caption, grounded)) == ()


@pytest.mark.parametrize("recipe", RecipeName)
def test_a_recipe_says_what_it_asks_and_what_it_gives(recipe: RecipeName) -> None:
    assert recipe.asks and recipe.gives
    assert RecipeName(str(recipe)) is recipe


@pytest.mark.parametrize(("task", "caption"), [(OD, CAPTION), (MORE_DETAILED_CAPTION,) * 2])
def test_the_task_chooses_the_caption_that_is_grounded(task: str, caption: str) -> None:
    plan = planning.plan(Request(by_token(task), recipe=RecipeName.CAPTION_GROUNDING), KNOWN)
    assert plan.questions == (Question(caption), Question(GROUNDING))


def test_described_boxes_come_with_a_caption_of_the_image() -> None:
    plan = planning.plan(Request(DETECTION, recipe=RecipeName.DESCRIBE), KNOWN)
    assert [q.task for q in plan.questions] == [OD, CAPTION, REGION_TO_DESCRIPTION]
