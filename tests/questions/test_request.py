"""What a user may ask for, and what contradicts itself."""

import pytest

from florence_annotate import classes, tasks
from florence_annotate.classes import ClassList
from florence_annotate.errors import UsageError
from florence_annotate.questions import planning
from florence_annotate.questions.request import Request, Strategy
from florence_annotate.types import Question

DETECTION = tasks.find("detection")


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
