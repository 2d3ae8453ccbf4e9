"""Class lists in flags and files."""

from pathlib import Path

import pytest

from florence_annotate import classes
from florence_annotate.classes import ClassSpec
from florence_annotate.errors import UsageError


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("plain.txt", "person\n\ncar, red\n", ("person", "car, red")),
        ("data.yaml", "train: x\nval: y\nnames: [b, a]", ("b", "a")),
        ("data.yaml", "nc: 2\nnames:\n  1: a\n  0: b", ("b", "a")),
        ("data.yaml", 'names: {"1": a, "0": b}', ("b", "a")),
        ("list.yaml", "- b\n- a", ("b", "a")),
        ("spec.yaml", "car: {synonyms: [sedan]}\ndog:", ("car", "dog")),
    ],
)
def test_class_files_of_every_form_are_read(
    tmp_path: Path, name: str, text: str, expected: tuple[str, ...]
) -> None:
    (tmp_path / name).write_text(text)
    assert classes.read_file(tmp_path / name).names == expected


def test_a_file_of_lines_may_hold_comments(tmp_path: Path) -> None:
    (tmp_path / "plain.txt").write_text("# ours\nperson\n  # wheels\ncar\n")
    assert classes.read_file(tmp_path / "plain.txt").names == ("person", "car")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("asterisk=star", r"star: \{prompt: asterisk\}"),
        ('["person", "car"]', "looks like a part of a list"),
        ('{"person": null}', "looks like a part of a list"),
    ],
)
def test_what_is_meant_otherwise_is_made_no_class(tmp_path: Path, text: str, match: str) -> None:
    (tmp_path / "plain.txt").write_text(text)
    with pytest.raises(UsageError, match=match):
        classes.read_file(tmp_path / "plain.txt")
    with pytest.raises(UsageError, match=match):
        classes.parse_names(text)


def test_a_class_may_have_limits_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "classes.yaml"
    file.write_text("car: {min_score: 0.4, min_area: 64, max_area: 0.8}\nperson: {min_score: 0}")
    car, person = classes.read_file(file).classes
    assert (car.min_score, car.min_area, car.max_area) == (0.4, 64, 0.8)
    assert (person.min_score, person.min_area) == (0, None)
    for wrong in ("min_score: 1.1", "min_score: high", "max_area: -1", "min_area: .inf"):
        file.write_text(f"car: {{{wrong}}}")
        with pytest.raises(UsageError, match="of 'car' is"):
            classes.read_file(file)


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
        'names: {"0": a, 0: b}',
        "names: {a: 0, b: 1}",
        "!!map a",
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


def test_a_class_that_a_file_has_twice_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "classes.yaml"
    file.write_text("star: {prompt: a star}\ncross:\nstar:\n")
    with pytest.raises(UsageError, match=r"the key 'star' is there twice.*line 3"):
        classes.read_file(file)
