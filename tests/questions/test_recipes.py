"""The recipes that --recipe names."""

import pytest

from florence_annotate import classes, tasks
from florence_annotate.errors import UsageError
from florence_annotate.questions import coverage, planning
from florence_annotate.questions.recipes import RecipeName
from florence_annotate.questions.request import Request, Strategy
from florence_annotate.tasks import (
    CAPTION,
    DENSE_CAPTIONS,
    MORE_DETAILED_CAPTION,
    OD,
)

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
