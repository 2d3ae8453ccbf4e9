"""What the user chose of a policy, and the policy that it makes of a job."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import lru_cache

from florence_annotate.classes import ClassList
from florence_annotate.classes.empty_phrases import names_nothing
from florence_annotate.policy.captions import (
    CaptionSettings,
    refuse_unjoinable,
    refuse_without_captions,
)
from florence_annotate.policy.policy import Policy
from florence_annotate.policy.thresholds import Thresholds
from florence_annotate.questions import coverage
from florence_annotate.types import Question


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """The part of a policy that is the user's to choose."""

    classes: ClassList | None
    """None: every label is a class."""
    thresholds: Thresholds
    verifies: bool
    """Classes that were asked by name stay only where another kind of question finds them."""
    captions: CaptionSettings


def policy_of(
    settings: PolicySettings,
    questions: Collection[Question],
    find_any: Callable[[str], int | None],
) -> Policy:
    """The policy of a job that asked these questions.

    `find_any` gives the class id of a label where every label is a class.

    Raises UsageError for a class or a text that the job never asked for, for settings of captions
    where it has none, and where classes are to be verified and no question can do it.
    """
    refuse_unjoinable(questions, settings.captions)
    refuse_without_captions(questions, settings.captions)
    prompted: frozenset[int] = frozenset()
    if settings.classes is not None:
        coverage.refuse_unasked(questions, settings.classes)
        prompted = coverage.asked_by_prompt(questions, settings.classes)
    if settings.verifies:
        coverage.refuse_unverified(questions)
    if settings.classes is None:
        find, find_phrase = find_any, _except_empty(find_any)
    else:  # most labels come often
        find = lru_cache(maxsize=10_000)(settings.classes.find)
        find_phrase = lru_cache(maxsize=10_000)(settings.classes.find_phrase)
    return Policy(
        find,
        settings.thresholds,
        prompted,
        settings.classes if settings.verifies else None,
        coverage.asked_to_verify(questions),
        settings.captions,
        find_phrase if settings.thresholds.label_rules > 1 else None,
        () if settings.classes is None else settings.classes.classes,
    )


def _except_empty(find: Callable[[str], int | None]) -> Callable[[str], int | None]:
    return lambda phrase: None if names_nothing(phrase) else find(phrase)
