"""What `explain` says would bring a dropped box back does, applied as it is written."""

import json
import math
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from calls import calls_within
from conftest import command, rows
from written_answers import answer, written_job

from florence_annotate.reasons import Reason
from florence_annotate.reports import bringing_back
from florence_annotate.tasks import (
    CAPTION,
    DENSE_CAPTIONS,
    GROUNDING,
    MORE_DETAILED_CAPTION,
    OD,
    OPEN_VOCABULARY,
)
from florence_annotate.types import Answer, Question

BIG, SAME = (100, 100, 500, 500), (100, 100, 500, 480)
APART, SMALL = (600, 600, 900, 900), (0, 0, 40, 40)
ASKEW = bytes([0] * 6 + [128, 127] + [0] * 5)
"""A location that is as likely one or two bins further."""
PARTS = ("car", (100, 100, 250, 500), 0.8), ("car", (350, 100, 500, 500), 0.7)


def said(
    *found: tuple[str, tuple[int, ...], float], task: str = OD, text: str | None = None
) -> Answer:
    """Labels with boxes and scores."""
    tokens = [token for label, box, _ in found for token in (label, *box)]
    logprobs = [math.log(score) for _, _, score in found for _ in range(5)]
    one = answer(*tokens, task=task, logprobs=logprobs)
    return Answer(Question(task, text), one.data, one.ends, one.kinds, one.logprobs, False)


def named(label: str, box: tuple[int, ...], score: float = 0.9) -> Answer:
    """The answer to a prompt for one class."""
    return said((label, box, score), task=OPEN_VOCABULARY, text=label)


VERIFY = [
    Question(OD),
    Question(CAPTION),
    Question(MORE_DETAILED_CAPTION),
    Question(DENSE_CAPTIONS),
    Question(OPEN_VOCABULARY, "car"),
]
PHRASES = [Question(GROUNDING, "a red car and it")]

# name: settings, answers, label, reason, what is to be written
CASES: dict[str, tuple[dict[str, Any], Sequence[Answer], str, Reason, list[str]]] = {
    "a limit of scores": (
        {"min_score": 0.5},
        [said(("car", BIG, 0.31239))],
        *("car", Reason.MIN_SCORE, ["--min-score 0.3123"]),
    ),
    "a limit of scores of its class": (
        {"classes": {"car": {"min_score": 0.5, "synonyms": ["van"]}, "tree": None}},
        [said(("car", BIG, 0.31239))],
        *("car", Reason.MIN_SCORE, ["car: {synonyms: [van], min_score: 0.3123}"]),
    ),
    "a limit of areas": (
        {"min_area": 1000},
        [said(("car", SMALL, 0.9))],
        *("car", Reason.MIN_AREA, ["--min-area 12.8"]),
    ),
    "an upper limit of areas": (
        {"max_area": 0.1},
        [said(("car", BIG, 0.9))],
        *("car", Reason.MAX_AREA, ["--max-area 0.1601"]),
    ),
    "an upper limit of areas of its class": (
        {"classes": {"car": {"max_area": 0.1}}, "max_area": 0.9},
        [said(("car", BIG, 0.9))],
        *("car", Reason.MAX_AREA, ["car: {max_area: 0.1601}"]),
    ),
    "a better one of its class": (
        {"nms": 0.5},
        [said(("car", BIG, 0.9), ("car ", SAME, 0.8))],
        *("car", Reason.NMS, ["--nms 0.95"]),
    ),
    "a better one of another class": (
        {"nms_across_classes": 0.5},
        [said(("car", BIG, 0.9), ("tree", SAME, 0.8))],
        *("tree", Reason.NMS_ACROSS_CLASSES, ["--nms-across-classes 0.95"]),
    ),
    "a better one, both with refined edges": (
        {"nms": 0.5, "refine_boxes": True},
        [replace(said(("car", BIG, 0.9), ("car ", SAME, 0.9)), spreads=ASKEW * 8)],
        *("car", Reason.NMS, ["--nms 0.95"]),
    ),
    "two reasons": (
        {"nms": 0.5, "min_score": 0.85},
        [said(("car", BIG, 0.9), ("tree", APART, 0.9), ("tree", (600, 600, 900, 880), 0.8))],
        *("tree", Reason.MIN_SCORE, ["--min-score 0.8", "--nms 0.9334"]),
    ),
    "another word of the class": (
        {"classes": {"automobile": {"synonyms": ["van"]}, "tree": None}},
        [said(("sedan", BIG, 0.9))],
        *("sedan", Reason.NO_CLASS, ["automobile: {synonyms: [van, sedan]}"]),
    ),
    "a class of its own": (
        {"classes": "car"},
        [said(("zebra", BIG, 0.9))],
        *("zebra", Reason.NO_CLASS, ["zebra: {}"]),
    ),
    "synonyms that are off": (
        {"classes": "couch", "synonyms": False},
        [said(("sofa", BIG, 0.9))],
        *("sofa", Reason.NO_CLASS, ["--synonyms"]),
    ),
    "older rules": (
        {"classes": "car", "label_rules": 1},
        [said(("a red car", BIG, 0.9), task=GROUNDING, text="a red car and it")],
        *("a red car", Reason.NO_CLASS, ["--label-rules 2"]),
    ),
    "a phrase that names nothing": (
        {"classes": "car"},
        [said(("it", BIG, 0.9), task=GROUNDING, text="a red car and it")],
        *("it", Reason.NO_OBJECT, ["it: {}"]),
    ),
    "a phrase that names nothing, without a list": (
        {},
        [said(("it", BIG, 0.9), task=GROUNDING, text="a red car and it")],
        *("it", Reason.NO_OBJECT, ["--label-rules 1"]),
    ),
    "a box around others": (
        {"drop_containers": True},
        [said(("car", BIG, 0.9), *PARTS)],
        *("car", Reason.CONTAINER, ["--no-drop-containers"]),
    ),
    "no second kind of question": (
        {"classes": "car", "recipe": "verify"},
        [named("car", BIG), said()],
        *("car", Reason.ABSENT, ["--no-presence"]),
    ),
}


def asked_for(name: str) -> list[Question]:
    if "second kind" in name:
        return VERIFY
    return PHRASES if "phrase" in name or "older" in name else [Question(OD)]


def explained(out: Path) -> Any:
    result = command("explain", out, "a.png", "--json")
    assert result.code == 0, result.err
    return result.json


def apply(out: Path, written: Sequence[str]) -> None:
    """As a user would: flags to `export`, entries of classes into `policy.yaml`."""
    flags = [word for one in written if one.startswith("--") for word in shlex.split(one)]
    entries = [yaml.safe_load(one) for one in written if not one.startswith("--")]
    policy = yaml.safe_load((out / "policy.yaml").read_text())
    for entry in entries:
        policy["classes"].update(entry)
    if entries:
        (out / "policy.yaml").write_text(json.dumps(policy))
    result = command("export", out, *flags)
    assert result.code == 0, result.err


@pytest.mark.parametrize("name", CASES)
def test_what_is_said_brings_the_box_back(name: str, tmp_path: Path) -> None:
    settings, answers, label, reason, written = CASES[name]
    out = written_job(
        *(tmp_path, {"a.png": answers}, asked_for(name)),
        **settings,
        formats="jsonl",
        images="none",
    )
    assert command("export", out).code == 0
    (dropped,) = explained(out)["dropped"]
    assert (dropped["label"], dropped["reason"]) == (label, reason)
    assert [one["write"] for one in dropped["back_with"]] == written
    assert command("explain", out, "a.png").out.count(written[0]) == 1
    apply(out, written)
    (row,) = rows(out)
    boxes = [(one["label"], one["score"], one["box"]) for one in row["instances"]]
    if settings.get("refine_boxes"):
        assert len(boxes) == 2
    else:
        assert (label, dropped["score"], dropped["box"]) in boxes


def test_every_reason_is_answered() -> None:
    answered = {reason for _, _, _, reason, _ in CASES.values()}
    assert answered | bringing_back._WHY_NOT.keys() | {Reason.DUPLICATE} == set(Reason)


@pytest.mark.parametrize(
    ("answers", "settings", "why"),
    [
        ([answer("car", 1, 2, 3)], {}, "--constrain form"),
        ([answer("car", 1, 2, 1, 2)], {}, "nothing of it could be drawn"),
        ([answer(1, 2, 300, 400)], {}, "without a label"),
        ([said(("car", BIG, 0.9), ("car", BIG, 0.8))], {}, "the same box is kept"),
        (
            [said(("car", BIG, 0.6), ("car", BIG, 0.5))],
            {"min_score": 0.7},
            "the better score is left out too",
        ),
    ],
)
def test_what_nothing_brings_back_is_told_with_the_cause(
    answers: Sequence[Answer], settings: dict[str, Any], why: str, tmp_path: Path
) -> None:
    out = written_job(tmp_path, {"a.png": answers}, **settings)
    dropped = explained(out)["dropped"][-1]
    assert (dropped["back_with"], why in dropped["why_not_back"]) == ([], True)


def test_a_class_that_no_question_can_find_is_not_proposed(tmp_path: Path) -> None:
    asked = [Question(OPEN_VOCABULARY, "car"), Question(OPEN_VOCABULARY, "zebra")]
    answers = [named("car", BIG), named("zebra", APART)]
    out = written_job(tmp_path, {"a.png": answers}, asked, classes="car")
    (dropped,) = explained(out)["dropped"]
    # the job asked for it, so that a class by its name finds it
    assert [one["write"] for one in dropped["back_with"]] == ["zebra: {}"]


def test_of_many_boxes_only_those_around_one_are_tried_with_it(tmp_path: Path) -> None:
    def work(count: int) -> int:
        """To explain as many pairs of boxes, of which each time one is left out."""
        found = []
        for number in range(count):
            left, top = 40 * (number % 20), 40 * (number // 20)
            for side, score in ((30, 0.9), (28, 0.5)):
                found.append(("car", (left, top, left + side, top + side), score))
        out = written_job(tmp_path / str(count), {"a.png": [said(*found)]}, nms=0.5)
        calls = calls_within("/policy/", lambda: explained(out))
        assert len(explained(out)["dropped"]) == count
        return calls

    assert work(80) < 5 * work(20)
