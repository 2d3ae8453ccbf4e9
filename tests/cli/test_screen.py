"""What the commands print at their end."""

import sqlite3
from pathlib import Path

import pytest
from conftest import annotate, command
from written_answers import answer, written_job

from florence_annotate.tasks import OD
from florence_annotate.types import Question


def test_a_job_whose_only_run_was_killed_is_exported_and_told(scenes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert annotate(scenes, out, "--limit", 2, "-q").code == 0
    connection = sqlite3.connect(out / "job.db")
    connection.execute("UPDATE runs SET report = NULL")  # it is written when a run ends
    connection.commit()
    connection.close()
    result = command("export", out)
    assert result.code == 0, result.err
    assert "2 of 2 images annotated" in result.out


@pytest.fixture
def many_labels(tmp_path: Path) -> Path:
    """A job whose answers have 25 labels, the last of them twice."""
    labels = [f"label {index:02}" for index in (*range(25), 24)]
    said = [
        part
        for index, label in enumerate(labels)
        for part in (label, 30 * index, 10, 30 * index + 25, 40)
    ]
    return written_job(tmp_path, {"1.png": [answer(*said)]}, [Question(OD)])


def test_of_many_labels_the_most_frequent_are_shown(many_labels: Path) -> None:
    shown = command("export", many_labels).out
    assert shown.count(" label ") == 20
    assert "2  label 24" in shown and "label 18" in shown and "label 19" not in shown
    assert "and 5 more; summary.json has all" in shown


def test_of_a_class_list_each_class_is_shown(many_labels: Path) -> None:
    names = ",".join(f"label {index:02}" for index in range(25))
    shown = command("export", many_labels, "--classes", names).out
    assert "label 19" in shown and "more; summary.json" not in shown


def test_one_is_not_said_in_the_plural(tmp_path: Path) -> None:
    found = [answer("cat", 1, 2, 300, 400)]
    out = written_job(tmp_path, {"1.png": found}, [Question(OD)])
    assert "annotated, 1 instance\n" in command("export", out).out
