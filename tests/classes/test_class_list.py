from pathlib import Path

import pytest

from florence_annotate import classes
from florence_annotate.classes import ClassList, ClassSpec
from florence_annotate.errors import UsageError


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("car", "car"), ("Car", "car"), ("cars", "car"), ("CARS", "car"), ("sedan", "car"),
        ("SUVs", "car"), ("people", "person"), ("traffic-light", "traffic light"),
        ("Traffic  lights", "traffic light"), ("buses", "bus"), ("knives", "knife"),
        ("glasses", "glasses"), ("glass", "glasses"), ("自動車", "自動車"),
        ("cart", None), ("", None),
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


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("plain.txt", "person\n\ncar, red\n", ("person", "car, red")),
        ("data.yaml", "train: x\nval: y\nnames: [b, a]", ("b", "a")),
        ("data.yaml", "nc: 2\nnames:\n  1: a\n  0: b", ("b", "a")),
        ("list.yaml", "- b\n- a", ("b", "a")),
        ("spec.yaml", "car: {synonyms: [sedan]}\ndog:", ("car", "dog")),
    ],
)
def test_class_files_of_every_form_are_read(
    tmp_path: Path, name: str, text: str, expected: tuple[str, ...]
) -> None:
    (tmp_path / name).write_text(text)
    assert classes.read_file(tmp_path / name).names == expected


def test_synonyms_and_prompts_come_from_yaml(tmp_path: Path) -> None:
    file = tmp_path / "classes.yaml"
    file.write_text('car: {synonyms: [sedan, suv], prompt: "a parked car"}')
    (car,) = classes.read_file(file).classes
    assert car == ClassSpec("car", ("sedan", "suv"), "a parked car")
    assert car.question == "a parked car"


@pytest.mark.parametrize(
    "text",
    [
        "names: {0: a, 2: b}",
        "car: {colour: red}",
        "car: [a]",
        "- 1",
        "3",
        "a: {synonyms: b}",
        "{",
        "- no",
    ],
)
def test_class_files_that_make_no_sense_are_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "classes.yaml"
    file.write_text(text)
    with pytest.raises(UsageError):
        classes.read_file(file)
