"""How labels become classes, and what is dropped, is changed by `export`, without the model."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from conftest import command
from written_answers import answer, written_job

from florence_annotate.tasks import GROUNDING, OD, OPEN_VOCABULARY
from florence_annotate.types import Answer, Question


def asked(text: str, *tokens: str | int, task: str) -> Answer:
    said = answer(*tokens, task=task)
    return replace(said, question=Question(task, text))


WHEELS = "wheels", 0, 0, 900, 400, 0, 0, 300, 400, 600, 0, 900, 400


def exported(out: Path, *options: object) -> Any:
    result = command("export", out, *options, "--json")
    assert result.code == 0, result.err
    return result.json


def test_a_box_around_others_comes_back_with_a_flag(tmp_path: Path) -> None:
    said = {"a.png": [asked("wheel", *WHEELS, task=OPEN_VOCABULARY)]}
    questions = (Question(OPEN_VOCABULARY, "wheel"),)
    out = written_job(tmp_path, said, questions, classes="wheel", formats="yolo")
    summary = exported(out)
    assert (summary["instances"], summary["dropped"]) == (2, {"container": 1})
    assert exported(out, "--no-drop-containers")["instances"] == 3


def test_only_the_questions_that_make_them_lose_boxes_around_others(tmp_path: Path) -> None:
    out = written_job(tmp_path, {"a.png": [answer(*WHEELS)]}, classes="wheels", formats="yolo")
    assert exported(out)["instances"] == 3
    assert exported(out, "--drop-containers")["instances"] == 2


def test_other_words_for_cocos_classes_are_switched_off_with_a_flag(tmp_path: Path) -> None:
    box = 1, 2, 300, 400
    said = {"a.png": [answer("sofa", *box, "television", *box, "man", *box, task=OD)]}
    out = written_job(tmp_path, said, classes="person,couch,tv", formats="yolo")
    assert exported(out)["classes"] == {"person": 1, "couch": 1, "tv": 1}
    summary = exported(out, "--no-synonyms")
    assert (summary["instances"], summary["dropped"]) == (0, {"no-class": 3})


def test_grounded_phrases_become_classes_under_the_rules_that_are_chosen(tmp_path: Path) -> None:
    text, box = "person<and>car<and>building", (1, 2, 300, 400)
    tokens = "A green car", *box, "a yellow building", *box, "a person", *box, "it", *box
    said = {"a.png": [asked(text, *tokens, task=GROUNDING)]}
    questions = (Question(GROUNDING, text),)
    out = written_job(tmp_path, said, questions, classes="person,car,building", formats="yolo")
    summary = exported(out)
    assert summary["classes"] == {"person": 1, "car": 1, "building": 1}
    assert summary["dropped"] == {"no-object": 1}
    assert exported(out, "--label-rules", 1)["dropped"] == {"no-class": 4}
