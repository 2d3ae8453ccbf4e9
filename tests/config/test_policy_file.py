"""`policy.yaml`: what it says, what is written into it, and what is wrong with one."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from calls import calls_within
from hypothesis import given
from hypothesis import strategies as st

from florence_annotate.classes import ClassList, ClassSpec
from florence_annotate.config import policy_file
from florence_annotate.config.job_spec import JobSpec
from florence_annotate.config.policy_file import SETTLED
from florence_annotate.errors import UsageError
from florence_annotate.user_files import SMALL

CLASSES = (
    ClassSpec("person"),
    ClassSpec("a car: red", ("sedan", "suv"), "a parked car", min_score=0.4, max_area=0.8),
)
SPEC = JobSpec(
    classes=CLASSES,
    formats=("yolo", "coco"),
    min_score=0.25,
    nms=0.5,
    caption_prefix="ohwx, ",
    join=("captions", "tags"),
    split={"train": 0.7, "val": 0.3},
)


def everything(spec: JobSpec) -> dict[str, Any]:
    return {name: getattr(spec, name) for name in SETTLED}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / policy_file.NAME
    policy_file.write(path, everything(SPEC), target="abc", class_names=["person", "a car: red"])
    return path


@pytest.mark.parametrize("spec", [SPEC, JobSpec()], ids=["chosen", "defaults"])
def test_what_is_written_is_read(spec: JobSpec, tmp_path: Path) -> None:
    path = tmp_path / policy_file.NAME
    policy_file.write(path, everything(spec), target="abc")
    found = policy_file.read(path)
    assert found is not None
    assert found.settings == everything(spec)
    assert found.target == "abc"


def test_every_key_has_a_comment_above_it(path: Path) -> None:
    lines = path.read_text().splitlines()
    for name in (*SETTLED, "target", "class_ids"):
        index = next(i for i, line in enumerate(lines) if line.startswith(f"{name}:"))
        assert lines[index - 1].startswith("# ")
    assert max(map(len, lines)) <= 100


def test_comments_order_and_what_is_not_given_stay(path: Path) -> None:
    text = "# mine\nmin_score: 0.2 # as on Tuesday\n\nnms: 0.5\ntarget: abc\nclass_ids: {0: a}\n"
    path.write_text(text)
    policy_file.write(path, {"min_score": 0.5}, target="abc", class_names=["a"])
    assert path.read_text() == text.replace("0.2", "0.5")
    before = path.stat()
    policy_file.write(path, {"min_score": 0.5}, target="abc", class_names=["a"])
    assert path.stat() == before


@given(st.lists(st.text(min_size=1), min_size=1, max_size=6), st.text(), st.lists(st.text()))
def test_any_text_is_read_as_it_was_written(names: list[str], text: str, labels: list[str]) -> None:
    try:
        first, *others = ClassList(map(ClassSpec, names)).classes
        classes = (ClassSpec(first.name, ("a synonym?", ":b"), text or None), *others)
        classes = ClassList(classes).classes
    except UsageError:  # an empty name, or one that stands for two
        classes = CLASSES
    settings = {"classes": classes, "caption_prefix": text, "join": tuple(labels)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / policy_file.NAME
        for each in (settings, settings | {"classes": classes[::-1]}):
            policy_file.write(path, each, target="abc", class_names=labels)
            found = policy_file.read(path)
            assert found is not None and found.settings == each
            assert yaml.safe_load(path.read_text("utf-8"))["class_ids"] == dict(enumerate(labels))


def test_an_order_of_classes_is_a_value(path: Path) -> None:
    settings = {"classes": CLASSES[::-1]}
    policy_file.write(path, settings, target="abc", class_names=[])
    found = policy_file.read(path)
    assert found is not None and found.settings["classes"] == CLASSES[::-1]
    assert len(policy_file.differences({"classes": CLASSES}, settings)) == 1


def test_the_same_classes_in_another_form_stay_as_somebody_wrote_them(path: Path) -> None:
    path.write_text("classes: [b, a] # mine\nmin_area: 3\ntarget: abc\nclass_ids: {}\n")
    before = path.read_bytes()
    settings = {"classes": (ClassSpec("b"), ClassSpec("a")), "min_area": 3.0}
    policy_file.write(path, settings, target="abc")
    assert path.read_bytes() == before


def test_a_list_as_long_as_a_class_file_may_be_can_be_read(path: Path) -> None:
    names = [f"?{number:x}" for number in range(4_000)]  # in quotes
    path.unlink()
    policy_file.write(path, {"classes": tuple(map(ClassSpec, names))}, target="abc")
    growth = path.stat().st_size / len("\n".join(names))
    assert growth * SMALL < policy_file._MOST_BYTES


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("min_scor: 0.5", r"line 2: there is no 'min_scor' in a policy: did you mean min_score\?"),
        ("nonsense: 1", "line 2: there is no 'nonsense' in a policy: it may hold classes"),
        ("yes: 1", "line 2: there is no True in a policy"),
        ("min_score: 2", "line 2: min_score: 2 won't do: write a number from 0 to 1"),
        ("split: {train: 0.5}", "line 2: split: .* add up to 0.5"),
        ("images: fast", "line 2: images: 'fast' won't do"),
        ("classes: 3", "line 2: expected a list of classes"),
        ("classes: {car: {min_score: 2}}", "line 2: min_score of 'car' is 2"),
        ("classes: {car: {colour: red}}", "line 2: class 'car' may have"),
        ("model: base", "line 2: there is no 'model' in a policy"),
        ("min_score: [", "is not valid YAML"),
        ("- a\n- b", "is not valid YAML|must hold"),
        ("nms: 1\nnms: 2", "is not valid YAML"),
        ("nms: &a [1, *a]", "an alias is not read here"),
        ("classes: " + "[" * 200, "lists or mappings within each other"),
    ],
)
def test_a_mistake_is_named_with_file_line_key_and_what_is_expected(
    path: Path, line: str, said: str
) -> None:
    path.write_text(f"# mine\n{line}\n")
    with pytest.raises(UsageError, match=said) as error:
        policy_file.read(path)
    assert str(path) in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_there_may_be_none_and_one_may_be_empty(tmp_path: Path) -> None:
    assert policy_file.read(tmp_path / policy_file.NAME) is None
    (tmp_path / policy_file.NAME).touch()
    found = policy_file.read(tmp_path / policy_file.NAME)
    assert found is not None and found.settings == {}


def test_a_long_value_is_told_by_its_beginning() -> None:
    classes = tuple(ClassSpec(f"class {number}") for number in range(1_000))
    (line,) = policy_file.differences({"classes": None}, {"classes": classes})
    assert line.startswith("classes none → class 0, class 1,") and line.endswith(" …")
    assert len(line) < 130


def test_of_a_long_value_no_more_is_spelled_than_is_told() -> None:
    def work(count: int) -> int:
        classes = tuple(ClassSpec(f"class {number:04}") for number in range(count))
        settings = [{"classes": classes}, {"classes": classes[::-1]}]
        return calls_within("ruamel", lambda: policy_file.differences(*settings))

    assert 0 < work(200) == work(20)


def test_differences_are_told_as_they_are_written() -> None:
    now = SPEC.model_copy(update={"min_score": 0.5, "nms": None, "formats": ("coco",)})
    assert policy_file.differences(everything(SPEC), everything(now)) == [
        "formats yolo, coco → coco",
        "min_score 0.25 → 0.5",
        "nms 0.5 → none",
    ]


def test_a_class_list_that_changed_is_told_as_people_write_one() -> None:
    before = {"classes": (ClassSpec("star"),)}
    now = {"classes": (ClassSpec("star", min_score=0.4), ClassSpec("big car"))}
    assert policy_file.differences(before, now) == [
        "classes star → {star: {min_score: 0.4}}, big car"
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("classes: [star, star]", "class 'star' is in the class list twice"),
        ('classes: [star, ""]', "the class list holds an empty name"),
        ("min_score:", "min_score is empty: write a number from 0 to 1, or take the line out"),
        ("visuals:", "visuals is empty: write true or false, or take the line out"),
        ("min_area: true", "min_area: true won't do: write a number of 0 or more"),
        ("nms: true", "nms: true won't do: write a number from 0 to 1"),
        ("seed: false", "seed: false won't do: write a whole number"),
    ],
)
def test_a_value_that_is_none_is_told_with_file_and_line(
    tmp_path: Path, line: str, message: str
) -> None:
    path = tmp_path / policy_file.NAME
    path.write_text(f"# mine\nimages: auto\n{line}\nlast: 1\n")
    with pytest.raises(UsageError) as caught:
        policy_file.read(path)
    assert str(caught.value).startswith(f"{path}, line 3: {message}")
    assert "None" not in str(caught.value)


def test_an_error_of_yaml_has_nothing_of_the_parser_in_it(tmp_path: Path) -> None:
    path = tmp_path / policy_file.NAME
    path.write_text("images: auto\nformats: [yolo, [}\n")
    with pytest.raises(UsageError, match="line 2, column") as caught:
        policy_file.read(path)
    assert "unicode string" not in str(caught.value)


def test_a_file_keeps_its_mode(path: Path) -> None:
    path.chmod(0o440)
    policy_file.write(path, {"min_score": 0.5}, target="abc")
    assert "min_score: 0.5" in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o440


def test_a_format_that_is_named_twice_is_one() -> None:
    assert JobSpec(formats="yolo,coco,yolo").formats == ("yolo", "coco")  # type: ignore[arg-type]
