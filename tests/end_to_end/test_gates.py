"""What a pipeline asks of a dataset: gates of `run` and `export`."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import annotate, command
from written_answers import answer, picture, written_job

CAR = answer("car", 1, 2, 300, 400)
CUT = replace(answer("car", 1, 2, 300, 400, "dog", 500, 500, 900, 900), truncated=True)


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """Four images: two with cars, of which one also has a dog and an answer that was cut, and two
    without a label."""
    said = {"a.png": [CAR], "b.png": [CUT], "c.png": [answer("sky")], "d.png": [answer("sky")]}
    return written_job(tmp_path, said, classes="car,dog")


def test_every_gate_that_is_missed_is_named_once_everywhere(job: Path) -> None:
    gates = ("--min-labelled", "75%", "--min-instances", "car=2,dog=5", "--max-truncated", "20%")
    result = command("export", job, *gates)
    assert result.code == 3
    lines = [line for line in result.err.splitlines() if "is missed" in line]
    assert lines == [
        "--min-labelled 75% is missed: 2 of 4 images have a label",
        "--min-instances dog=5 is missed: the dataset has 1",
        "--max-truncated 20% is missed: 1 of 4 images have an answer cut at the token limit (a "
        "larger --max-new-tokens with --restart asks again)",
    ]
    summary = json.loads((job / "summary.json").read_text())
    assert summary["missed_gates"] == lines
    assert summary["gates"] == [
        gate("min_labelled", "75%", 2, 4, met=False),
        gate("min_instances", "2", 2, None, "car", met=True),
        gate("min_instances", "5", 1, None, "dog", met=False),
        gate("max_truncated", "20%", 1, 4, met=False),
    ]
    quiet = command("export", job, *gates, "--quiet")
    assert (quiet.code, quiet.err.splitlines(), quiet.out) == (3, lines, "")
    as_json = command("export", job, *gates, "--json")
    assert as_json.code == 3 and as_json.json["missed_gates"] == lines


def gate(
    name: str, asked: str, found: int, of: int | None, class_name: str | None = None, *, met: bool
) -> dict[str, Any]:
    return {
        "gate": name,
        "class": class_name,
        "asked": asked,
        "found": found,
        "of": of,
        "met": met,
    }


def test_gates_that_are_met_and_gates_of_another_command(job: Path) -> None:
    gates = ("--min-labelled", "50%", "--min-instances", "DOG=1", "--max-truncated", "25%")
    result = command("export", job, *gates, "--json")
    assert (result.code, result.json["missed_gates"]) == (0, [])
    assert [one["met"] for one in result.json["gates"]] == [True] * 3
    assert result.json["gates"][1]["class"] == "dog"
    assert command("export", job, "--json").json["gates"] == []
    assert "min_labelled" not in (job / "policy.yaml").read_text()


def test_instances_count_once_the_thresholds_are_applied(job: Path) -> None:
    gates = ("--min-instances", "car=1", "--min-labelled", "1%")
    assert command("export", job, *gates).code == 0
    assert command("export", job, *gates, "--max-area", 0.01).code == 3


def test_images_that_labelled_only_leaves_out_have_no_label(job: Path) -> None:
    result = command("export", job, "--labelled-only", "--min-labelled", "75%", "--json")
    assert (result.code, result.json["images_without_labels"]) == (3, 2)
    assert result.json["gates"] == [gate("min_labelled", "75%", 2, 4, met=False)]


def test_failures_are_a_gate_of_an_export_that_is_given_it(scenes: Path, tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    shutil.copy(min(scenes.glob("*.jpg")), source)
    (source / "broken.jpg").write_bytes(b"nothing")
    config = tmp_path / "ci.yaml"
    config.write_text(
        "min-labelled: 90%\nmax-truncated: 1%\nmax-failures: 50%\nmin-instances: {comet: 1}\n"
    )
    out = tmp_path / "out"
    result = annotate(source, out, "--config", config, "--json")
    comet = "--min-instances comet=1 is missed: the dataset has 0"
    assert (result.code, result.json["missed_gates"]) == (3, [comet])
    assert comet in result.err and "max-failures" not in result.err
    again = command("resume", out, "--json")  # the gates of the last run
    assert (again.code, again.json["missed_gates"]) == (3, [comet])

    failed = (
        "--max-failures 0 is missed: 1 of 2 images failed ('florence-annotate failures' says why)"
    )
    assert command("export", out).code == 0
    result = command("export", out, "--max-failures", 0, "--quiet")
    assert (result.code, result.err.splitlines()) == (3, [failed])


def test_a_class_that_is_none_of_the_job_s_is_refused_first(job: Path, tmp_path: Path) -> None:
    before = (job / "job.db").read_bytes()
    result = command("export", job, "--min-instances", "carr=1")
    assert result.code == 2
    assert "--min-instances: there is no class 'carr': did you mean car?" in result.err
    assert (job / "job.db").read_bytes() == before
    picture(tmp_path / "new" / "1.png")
    asked = ("--classes", "car,dog", "--min-instances", "zebra=1")
    result = command("run", tmp_path / "new", "-o", tmp_path / "o", "--model", "gone", *asked)
    assert result.code == 2
    assert "there is no class 'zebra': they are car, dog" in result.err
    assert not (tmp_path / "o").exists()


def test_without_a_class_list_a_label_that_nobody_said_misses_its_gate(tmp_path: Path) -> None:
    out = written_job(tmp_path, {"a.png": [CAR]})
    result = command("export", out, "--min-instances", "cars=1", "--quiet")
    assert result.code == 3
    missed = "--min-instances cars=1 is missed: the dataset has 0, did you mean car?"
    assert result.err.strip() == missed


def test_a_share_of_no_image_is_reached_by_none(tmp_path: Path) -> None:
    out = written_job(tmp_path, {"a.png": []})
    result = command("export", out, "--min-labelled", "0%", "--max-truncated", "0%", "--json")
    assert result.code == 3
    assert [one["met"] for one in result.json["gates"]] == [False, True]
