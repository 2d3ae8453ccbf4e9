"""The part of a policy that is the user's to choose, and the policy that it makes of a job."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from florence_annotate.classes import ClassList
from florence_annotate.policy.policy import Policy
from florence_annotate.questions import coverage
from florence_annotate.types import Question


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """The part of a policy that is the user's to choose; `classes` None: every label is one."""

    classes: ClassList | None
    min_score: float
    nms: float | None
    min_area: float = 0.0
    presence: bool = False


def policy_of(
    settings: PolicySettings,
    questions: Collection[Question],
    find: Callable[[str], int | None],
) -> Policy:
    """The policy of a job that asked these questions; `find` knows the classes.

    Raises UsageError for a class that the job never asked for, and for confirmation that it lacks.
    """
    prompted: frozenset[int] = frozenset()
    if settings.classes is not None:
        coverage.refuse_unasked(questions, settings.classes)
        prompted = coverage.asked_by_prompt(questions, settings.classes)
    if settings.presence:
        coverage.refuse_unverified(questions)
    return Policy(
        find,
        prompted,
        settings.min_score,
        settings.nms,
        settings.min_area,
        settings.classes if settings.presence else None,
        coverage.witnesses(questions),
    )
