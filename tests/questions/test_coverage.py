"""Which classes the questions of a job can find."""

import pytest

from florence_annotate import classes, tasks
from florence_annotate.classes import ClassList
from florence_annotate.errors import UsageError
from florence_annotate.questions import coverage, planning
from florence_annotate.questions.request import Request, Strategy
from florence_annotate.tasks import (
    GROUNDING,
    OD,
)
from florence_annotate.types import Question

DETECTION = tasks.find("detection")


KNOWN = {"car", "person"}


def questions(
    class_list: ClassList | None, strategy: Strategy = Strategy.AUTO, task: str = "detection"
) -> tuple[Question, ...]:
    return planning.plan(Request(tasks.find(task), strategy, class_list), KNOWN).questions


def test_classes_that_no_question_can_have_found_are_known() -> None:
    asked = questions(classes.parse_names("hat,shoe"))
    with pytest.raises(UsageError, match="can find scarf:"):
        coverage.refuse_unasked(asked, classes.parse_names("hat,scarf"))
    coverage.refuse_unasked((Question(OD),), classes.parse_names("anything"))
    caption = Question(GROUNDING, "A hat beside a shoe.")
    coverage.refuse_unasked((caption,), classes.parse_names("shoe,hat"))
    with pytest.raises(UsageError, match="can find scarf:"):
        coverage.refuse_unasked((caption,), classes.parse_names("hat,scarf"))
