"""Second questions about classes that were asked by name."""

from collections.abc import Sequence

import pytest

from florence_annotate.classes import parse_names
from florence_annotate.policy.policy import Policy
from florence_annotate.policy.verification import verified_classes
from florence_annotate.reasons import Reason
from florence_annotate.tasks import (
    CAPTION,
    DENSE_CAPTIONS,
    GROUNDING,
    MORE_DETAILED_CAPTION,
    OD,
    OPEN_VOCABULARY,
)
from florence_annotate.types import Box, Caption, Instance, Reading

CLASSES = parse_names("person,traffic light,hat,St. Bernard,wearing a yellow hard hat")
HERE, ELSEWHERE = (10.0, 10.0, 50.0, 50.0), (60.0, 60.0, 90.0, 90.0)


def instance(label: str, box: Box = HERE, task: str = OPEN_VOCABULARY) -> Instance:
    return Instance(label, 0.5, box, task)


def test_a_text_that_was_asked_for_itself_verifies_nothing() -> None:
    printed = Caption("<OCR>", "hat", 1.0)
    described = Caption(CAPTION, "a person with a hat", 1.0)
    assert verified_classes(Reading((), (described, printed), ()), CLASSES) == frozenset()
    longer = Caption(MORE_DETAILED_CAPTION, "A hat.", 1.0)
    assert verified_classes(Reading((), (described, longer), ()), CLASSES) == {2}


def is_kept(asked: Instance, *others: Instance, captions: Sequence[str] = ()) -> bool:
    """Whether the policy keeps an instance on an image with these others and these captions."""
    written = tuple(Caption(CAPTION, caption, 1.0) for caption in captions)
    verified = verified_classes(Reading((asked, *others), written, ()), CLASSES)
    kept, dropped = Policy(CLASSES.find).apply([asked], 100, 100, verified)
    assert [one.reason for one in dropped] == ([] if kept else [Reason.ABSENT])
    return bool(kept)


def test_a_prompt_alone_verifies_nothing() -> None:
    assert not is_kept(instance("person"))
    assert not is_kept(instance("person"), instance("person", ELSEWHERE))


def test_od_verifies_a_class_wherever_it_is() -> None:
    assert is_kept(instance("person"), instance("person", ELSEWHERE, OD))
    assert not is_kept(instance("person"), instance("hat", HERE, OD))


def test_two_descriptions_verify_what_both_name() -> None:
    regions = [instance("a person with a hat", box, DENSE_CAPTIONS) for box in (HERE, ELSEWHERE)]
    asked = instance("person")
    assert not is_kept(asked, *regions)  # all regions are one description
    assert is_kept(asked, *regions, captions=["A person."])
    assert not is_kept(instance("hat"), *regions, captions=["A person."])
    assert not is_kept(asked, captions=["A person."])
    assert is_kept(asked, captions=["A person.", "Some people wait."])


def test_a_grounding_prompt_verifies_nothing() -> None:
    assert not is_kept(instance("person"), instance("person", HERE, GROUNDING))


@pytest.mark.parametrize(
    ("caption", "named"),
    [
        ("Two people wait.", {0}),
        ("A traffic-light, and a hat!", {1, 2}),
        ("Light traffic.", set()),
        ("A St Bernard, wearing a yellow hard hat.", {2, 3, 4}),
        ("", set()),
    ],
)
def test_captions_name_classes(caption: str, named: set[int]) -> None:
    assert CLASSES.named_in(caption) == named


def test_what_was_not_asked_by_name_needs_no_verification() -> None:
    assert is_kept(instance("person", task=OD))
