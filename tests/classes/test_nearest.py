"""The class that somebody may have meant by a label of no class."""

import pytest
from calls import calls_within

from florence_annotate.classes import ClassList, ClassSpec
from florence_annotate.classes.nearest import nearest_class


@pytest.mark.parametrize(
    ("label", "meant"),
    [
        ("sedan", "automobile"),  # both are COCO's car
        ("a red automobile", "automobile"),
        ("traffic cones", "traffic cone"),
        ("automobil", "automobile"),
        ("Trafic Cone", "traffic cone"),
        ("cone of traffic cone", "traffic cone"),
        ("zebra", None),
        ("", None),
    ],
)
def test_the_nearest_class(label: str, meant: str | None) -> None:
    classes = ClassList([ClassSpec("automobile", ("van",)), ClassSpec("traffic cone")])
    assert nearest_class(label, classes) == meant


def test_a_label_between_two_classes_has_none() -> None:
    classes = ClassList([ClassSpec("car"), ClassSpec("door")])
    assert nearest_class("car beside a door frame", classes) == "car"  # its head
    assert nearest_class("thing: car, door, both", classes) is None


def test_a_further_label_does_not_read_all_classes_again() -> None:
    classes = ClassList(ClassSpec(f"class {chr(97 + place) * 3}") for place in range(26))
    nearest_class("zebra", classes)
    assert calls_within("spelling", lambda: nearest_class("zebra", classes)) < 26
