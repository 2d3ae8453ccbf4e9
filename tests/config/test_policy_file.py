"""`policy.yaml`: what it says, what is written into it, and what is wrong with one."""

from pathlib import Path
from typing import Any

import pytest

from florence_annotate.classes import ClassSpec
from florence_annotate.config import policy_file
from florence_annotate.config.job_spec import JobSpec
from florence_annotate.config.policy_file import SETTLED
from florence_annotate.errors import UsageError

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


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("min_scor: 0.5", r"line 2: there is no 'min_scor' in a policy: did you mean min_score\?"),
        ("nonsense: 1", "line 2: there is no 'nonsense' in a policy: it may hold classes"),
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
        ("classes: " + "[" * 200, "not valid YAML|nested"),
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


def test_differences_are_told_as_they_are_written() -> None:
    now = SPEC.model_copy(update={"min_score": 0.5, "nms": None, "formats": ("coco",)})
    assert policy_file.differences(everything(SPEC), everything(now)) == [
        "formats [yolo, coco] → [coco]",
        "min_score 0.25 → 0.5",
        "nms 0.5 → none",
    ]
