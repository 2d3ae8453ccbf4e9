"""From a label to a class id."""

import pytest

from florence_annotate import classes
from florence_annotate.classes import ClassList, ClassSpec, Matching
from florence_annotate.errors import UsageError


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("car", "car"), ("Car", "car"), ("cars", "car"), ("CARS", "car"), ("sedan", "car"),
        ("SUVs", "car"), ("people", "person"), ("traffic-light", "traffic light"),
        ("Traffic  lights", "traffic light"), ("buses", "bus"), ("knives", "knife"),
        ("glasses", "glasses"), ("glass", "glasses"), ("自動車", "自動車"),
        ("cart", None), ("", None), ("carss", None), ("buss", None), ("person door", None),
    ],
)  # fmt: skip
def test_labels_find_their_class(label: str, expected: str | None) -> None:
    names = ("person", "traffic light", "bus", "knife", "glasses", "自動車")
    known = ClassList([ClassSpec("car", ("sedan", "SUV")), *map(ClassSpec, names)])
    found = known.find(label)
    assert (None if found is None else known.names[found]) == expected


def test_two_classes_that_are_plurals_of_each_other_stay_apart() -> None:
    known = classes.parse_names("glass,glasses")
    assert (known.find("glass"), known.find("glasses")) == (0, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty name"),
        ("car,,dog", "empty name"),
        ("car,dog,Car", "'Car' is in the class list twice"),
        ("car,traffic light,traffic_light", "twice"),
        ("a\tb", "control character"),
        ("a\u2028b", "control character"),
    ],
)
def test_a_list_that_makes_no_sense_is_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        classes.parse_names(text)


def test_a_synonym_of_two_classes_is_refused() -> None:
    with pytest.raises(UsageError, match="'jeep' stands for both 'car' and 'truck'"):
        ClassList([ClassSpec("car", ("jeep",)), ClassSpec("truck", ("jeep",))])


def find(names: str, label: str, **matching: bool) -> str | None:
    """The name of the class that a label stands for."""
    known = ClassList(classes.parse_names(names).classes, Matching(**matching))
    found = known.find(label)
    return None if found is None else known.names[found]


def test_what_looks_like_a_plural_is_none() -> None:
    known = "bu,cross,glas,len"
    assert [find(known, label) for label in ("bus", "crosss", "glass", "lens")] == [None] * 4
    assert find(known, "crosses") == "cross"


def test_other_words_stand_for_cocos_classes() -> None:
    coco = "person,cell phone,tv,couch,motorcycle,airplane"
    words = {
        "person": ("man", "Woman", "women", "boys", "children"),
        "cell phone": ("mobile phone", "mobile-phones"),
        "tv": ("television", "Televisions"),
        "couch": ("sofa", "sofas"),
        "motorcycle": ("motorbike",),
        "airplane": ("aeroplane", "planes"),
    }
    for name, labels in words.items():
        assert {find(coco, label) for label in labels} == {name}
        assert {find(coco, label, has_synonyms=False) for label in labels} == {None}


def test_other_words_stand_for_no_class_that_is_spelled_otherwise() -> None:
    assert find("people,settee,mobile", "man") is None
    assert find("people,settee,mobile", "sofa") is None


def test_a_class_of_the_list_is_no_other_word_for_another() -> None:
    assert find("person,man", "men") == "man"
    assert find("person,man", "woman") == "person"
    known = ClassList([ClassSpec("person"), ClassSpec("toy", ("baby",))])
    assert known.find("babies") == 1


def test_older_jobs_keep_their_plurals_and_whole_phrases() -> None:
    assert find("bu", "bus", is_older=True) == "bu"
    assert find("cross", "crosss", is_older=True) == "cross"
    older = ClassList([ClassSpec("car")], Matching(is_older=True, has_synonyms=False))
    assert older.find_phrase("a green car") is None
    assert older.find_phrase("cars") == 0
