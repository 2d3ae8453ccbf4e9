"""Second questions about classes that were asked by name."""

import pytest

from florence_annotate import presence
from florence_annotate.classes import parse_names
from florence_annotate.tasks import CAPTION, GROUNDING, OD, OPEN_VOCABULARY
from florence_annotate.types import Box, Caption, Instance, Reading

CLASSES = parse_names("person,traffic light,hat")
HERE, NEAR, ELSEWHERE = (10.0, 10.0, 50.0, 50.0), (12.0, 9.0, 52.0, 50.0), (60.0, 60.0, 90.0, 90.0)


def pointed_at(class_id: int, box: Box = HERE, task: str = OPEN_VOCABULARY) -> Instance:
    return Instance(CLASSES.names[class_id], 0.5, box, task, class_id=class_id)


def confirms(instance: Instance, *others: Instance, caption: str = "") -> bool:
    reading = Reading((instance, *others), (Caption(CAPTION, caption, 1.0),), ())
    return presence.gather(reading, CLASSES.find).confirms(instance)


def test_a_prompt_alone_confirms_nothing() -> None:
    assert not confirms(pointed_at(0))
    assert not confirms(pointed_at(0), pointed_at(0, ELSEWHERE))


def test_od_confirms_a_class_wherever_it_is() -> None:
    assert confirms(pointed_at(0), pointed_at(0, ELSEWHERE, OD))
    assert not confirms(pointed_at(0), pointed_at(2, HERE, OD))


def test_grounding_confirms_only_the_same_place() -> None:
    assert confirms(pointed_at(0), pointed_at(0, NEAR, GROUNDING))
    assert not confirms(pointed_at(0), pointed_at(0, ELSEWHERE, GROUNDING))


@pytest.mark.parametrize(
    ("caption", "named"),
    [
        ("Two people wait.", {0}),
        ("A traffic-light, and a hat!", {1, 2}),
        ("Light traffic.", set()),
        ("", set()),
    ],
)
def test_captions_name_classes(caption: str, named: set[int]) -> None:
    assert presence.mentioned(caption, CLASSES.find) == named
    assert confirms(pointed_at(0), caption=caption) is (0 in named)


def test_what_was_not_asked_by_name_needs_nobodys_word() -> None:
    assert confirms(pointed_at(0, task=OD))
