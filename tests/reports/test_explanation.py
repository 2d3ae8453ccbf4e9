"""`explain`: what became of an image, and why."""

import json
import math
import os
import resource
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import annotate, command
from PIL import Image
from written_answers import answer, attempt, picture, say, written_job

from florence_annotate.journal import Journal
from florence_annotate.tasks import CAPTION, OD
from florence_annotate.types import Failure, ImageRef, Question

LOW = [math.log(0.3)] * 5
SAID = {
    "a.png": [answer("car", 100, 100, 500, 500, "tree", 600, 600, 900, 900)],
    "b/a.png": [answer("car", 100, 100, 500, 500, logprobs=LOW)],
    "b/c.png": [answer()],
}


@pytest.fixture
def job(tmp_path: Path) -> Path:
    out = written_job(tmp_path, SAID, formats="yolo", visuals=True)
    assert command("export", out).code == 0
    return out


def explained(out: Path, image: object, *options: object) -> Any:
    result = command("explain", out, image, *options, "--json")
    assert result.code == 0, result.err
    return result.json


# which image is meant


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ("a.png", "a.png"),
        ("b/a.png", "b/a.png"),
        ("{in}/b/a.png", "b/a.png"),
        ("{out}/images/train/b/a.png", "b/a.png"),
        ("{out}/labels/train/b/a.txt", "b/a.png"),
        ("{out}/visuals/train/a.jpg", "a.png"),
        ("train/b/c.png", "b/c.png"),
        ("c.png", "b/c.png"),
        ("c", "b/c.png"),
    ],
)
def test_an_image_is_known_by_many_names(given: str, key: str, job: Path) -> None:
    written = given.format(**{"in": job.parent / "in", "out": job})
    assert explained(job, written)["key"] == key


@pytest.mark.parametrize("name", ["new\nline.png", "back\\slash.png", "no-utf-8-\udcff.png"])
def test_an_image_is_known_by_its_file_s_name_whatever_is_in_it(name: str, tmp_path: Path) -> None:
    out = written_job(tmp_path, {f"a/{name}": [answer()], "other.png": [answer()]})
    (key,) = (ref.key for ref in refs_of(out) if ref.key.startswith("a/"))
    for written in (name, f"a/{name}", name.removesuffix(".png"), key):
        assert explained(out, written)["key"] == key


def refs_of(out: Path) -> list[ImageRef]:
    with Journal.open_existing(out) as journal:
        return list(journal.selection.refs())


def test_a_name_that_may_be_two_is_refused(tmp_path: Path) -> None:
    said = {"a/x.png": [answer()], "b/x.png": [answer()]}
    result = command("explain", written_job(tmp_path, said), "x.png", "--json")
    assert (result.code, result.json["error"]["kind"]) == (2, "usage")
    assert "'x.png' may be a/x.png, b/x.png: name the image with its folder" in result.err


def test_of_no_image_the_nearest_are_named(job: Path) -> None:
    result = command("explain", job, "c.ppng")
    assert (result.code, len(result.err.splitlines())) == (2, 1)
    assert "has no image 'c.ppng': did you mean b/c.png" in result.err
    assert "an image is known by its key" in command("explain", job, "something-else").err


# what became of it


def test_what_was_asked_and_said_is_shown_as_it_is(tmp_path: Path) -> None:
    cut = replace(answer("car", 1, 2, 300, 400, "tree", 5), truncated=True)
    caption = answer("a street", task=CAPTION)
    asked = [Question(OD), Question(CAPTION)]
    out = written_job(tmp_path, {"a.png": [cut, caption]}, asked)
    found = explained(out, "a.png")
    first, second = found["answers"]
    assert first["said"] == "car<loc_1><loc_2><loc_300><loc_400>tree<loc_5>"
    assert (first["truncated"], second["truncated"], found["truncated"]) == (True, False, True)
    assert second["prompt"] == "What does the image describe?"
    assert found["captions"] == [{"task": CAPTION, "text": "a street", "score": 1.0}]
    text = command("explain", out, "a.png").out
    for line in ("car<loc_1><loc_2><loc_300><loc_400>tree<loc_5> … cut", "a street", "torn-box"):
        assert line in text


def test_a_score_is_shown_with_its_parts(dataset: Path) -> None:
    for fate in explained(dataset, "scene-3000000.jpg")["kept"]:
        parts = fate["score_parts"]
        product = parts["label"] * math.prod(parts["edges"].values())
        assert fate["score"] == pytest.approx(product ** parts["power"], abs=1e-4)
    assert ")^1/7" in command("explain", dataset, "scene-3000000.jpg").out


def test_answers_of_before_have_a_mean(job: Path) -> None:
    (fate,) = explained(job, "b/a.png")["kept"]
    assert fate["score_parts"]["definition"] == "geometric-mean"
    assert "geometric mean" in command("explain", job, "b/a.png").out


def test_an_image_that_failed_says_why(job: Path) -> None:
    with Journal.open_to_write(job) as journal:
        (ref,) = (ref for ref in journal.selection.refs() if ref.key == "a.png")
        journal.append(1, [Failure(ref, "decode", "truncated", "it ends too soon")])
    found = explained(job, "a.png")
    assert found["state"] == "failed"
    assert found["failure"] == {
        "stage": "decode",
        "kind": "truncated",
        "message": "it ends too soon",
    }
    text = command("explain", job, "a.png").out
    assert "truncated (decode): it ends too soon" in text and "--retry-failed" in text


def test_images_that_wait_and_that_left_say_so(job: Path) -> None:
    picture(job.parent / "in" / "new.png")
    with Journal.open_to_write(job) as journal:
        attempt(journal, job.parent, {})
    assert explained(job, "new.png")["state"] == "pending"
    text = command("explain", job, "new.png").out
    assert "not annotated yet" in text and f"florence-annotate resume {job}" in text
    (job.parent / "in" / "a.png").unlink()
    with Journal.open_to_write(job) as journal:
        attempt(journal, job.parent, {})
    found = explained(job, "a.png")
    assert (found["state"], len(found["kept"])) == ("left", 2)
    assert "no source names it any more" in command("explain", job, "a.png").out


def test_an_image_beyond_the_limit_says_so(scenes: Path, tmp_path: Path) -> None:
    assert annotate(scenes, tmp_path / "out", "--limit", 1, "-q").code == 0
    assert explained(tmp_path / "out", "scene-3000005.jpg")["state"] == "beyond-limit"


def test_an_image_that_was_not_asked_about_says_so(tmp_path: Path) -> None:
    out = written_job(tmp_path, {"a.png": [], "b.png": [answer()]})
    assert "nothing: the job has a text or regions for other images" in (
        command("explain", out, "a.png").out
    )
    assert "kept: nothing" in command("explain", out, "b.png").out


# since the last export


def test_what_another_export_would_change_is_told(job: Path) -> None:
    policy = job / "policy.yaml"
    assert command("explain", job, "b/a.png").out.count("since the last export") == 0
    policy.write_text(policy.read_text().replace("min_score: 0.0", "min_score: 0.5"))
    since = explained(job, "b/a.png")["since_export"]
    assert since["settings"] == ["min_score 0.0 → 0.5"]
    assert ([one["class"] for one in since["lost"]], since["gained"]) == (["car"], [])
    text = command("explain", job, "b/a.png").out
    assert "- car 0.3000" in text and f"florence-annotate export {job}" in text
    assert "which changes no box of this image" in command("explain", job, "a.png").out


def test_an_image_that_was_annotated_since_is_told(job: Path) -> None:
    with Journal.open_to_write(job) as journal:
        attempt(journal, job.parent, {"a.png": [answer("car", 1, 1, 9, 9)]})
    assert explained(job, "a.png")["since_export"]["annotated_again"]
    assert not explained(job, "b/a.png")["since_export"]["annotated_again"]


@pytest.mark.parametrize(
    ("options", "why"),
    [(("--exclude", "b/*"), "--include or --exclude"), (("--labelled-only",), "--labelled-only")],
)
def test_an_image_that_the_last_export_left_out_says_why(
    options: tuple[str, ...], why: str, job: Path
) -> None:
    assert command("export", job, *options).code == 0
    assert explained(job, "b/c.png")["since_export"]["left_out"] == why
    assert explained(job, "a.png")["since_export"]["left_out"] is None


# where is my box


def test_what_covers_a_point_is_shown_with_its_fate(job: Path) -> None:
    assert command("export", job, "--min-area", 800).code == 0
    at = explained(job, "a.png", "--at", "20,20")["at"]
    assert [one["label"] for one in at["covering"]] == ["car"]
    at = explained(job, "a.png", "--at", "70,60")["at"]
    assert [(one["label"], one["reason"]) for one in at["covering"]] == [("tree", "min-area")]
    assert "kept: car" in command("explain", job, "a.png", "--at", "20,20").out
    text = command("explain", job, "a.png", "--at", "70,60").out
    assert "left out: tree" in text and "--min-area 7" in text


def test_where_nothing_was_said_the_nearest_and_what_to_try_are_told(job: Path) -> None:
    at = explained(job, "a.png", "--at", "53,20")["at"]
    assert at["covering"] == []
    assert (at["nearest"][0]["label"], at["nearest"][0]["pixels"]) == ("car", 3.0)
    text = command("explain", job, "a.png", "--at", "53,20").out
    assert "nothing that the model said covers this point" in text
    assert "3 pixels away, kept: car" in text
    assert "--tiles 2x2" in text and "--strategy open-vocabulary --classes NAME" in text
    assert f"florence-annotate run {job.parent}/in/a.png -o tried" in text


def test_what_to_try_is_a_command_for_images_of_any_name(tmp_path: Path) -> None:
    image, out = tmp_path / "in" / "line\nbreak \udcff.png", tmp_path / "out"
    picture(image)
    assert annotate(image.parent, out, "--no-canary").code == 0
    say(out, answer())
    (first, *_) = explained(out, image, "--at", "5,5")["at"]["to_try"]
    assert first["command"] in command("explain", out, image, "--at", "5,5").out
    printed = ["bash", "-c", first["command"].replace("florence-annotate run", "printf '%s\\0'")]
    assert subprocess.check_output(printed).split(b"\0")[0] == os.fsencode(image)


@pytest.mark.parametrize(
    ("at", "why"),
    [
        ("5", "write X,Y in pixels"),
        ("a,b", "write X,Y in pixels"),
        ("nan,1", "is outside of a.png, which has 100 x 80 pixels"),
        ("101,5", "is outside of a.png, which has 100 x 80 pixels"),
    ],
)
def test_a_point_that_is_none_is_refused(at: str, why: str, job: Path) -> None:
    result = command("explain", job, "a.png", "--at", at)
    assert (result.code, why in result.err) == (2, True)


# drawn


def test_kept_and_dropped_boxes_are_drawn(job: Path, tmp_path: Path) -> None:
    assert command("export", job, "--min-area", 800).code == 0
    original = (job.parent / "in" / "a.png").read_bytes()
    result = command("explain", job, "a.png", "--picture", tmp_path / "drawn.png")
    assert (result.code, "drawn: " in result.err) == (0, True)
    drawn = Image.open(tmp_path / "drawn.png").convert("RGB")
    factor = drawn.width // 100
    left, right = round(60.05 * factor), round(90.05 * factor)
    dashes = {drawn.getpixel((x, round(48.04 * factor))) for x in range(left, right)}
    assert {(0, 0, 0), (255, 255, 255)} <= dashes
    assert (job.parent / "in" / "a.png").read_bytes() == original


def test_a_picture_that_can_t_be_written_leaves_nothing_in_the_way(
    job: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "drawn.png"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))  # as a disk that is full
    try:
        result = command("explain", job, "a.png", "--picture", file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert result.code == 1 and f"can't write {file}" in result.err
    assert command("explain", job, "a.png", "--picture", file).code == 0


def test_nothing_that_is_there_is_drawn_over(job: Path, tmp_path: Path) -> None:
    original = job.parent / "in" / "a.png"
    before = original.read_bytes()
    result = command("explain", job, "a.png", "--picture", original)
    assert (result.code, "there is such a file" in result.err) == (2, True)
    assert original.read_bytes() == before
    assert "name it with one of" in command("explain", job, "a.png", "--picture", "x.gif").err
    assert command("explain", job, "a.png", "--picture", tmp_path / "no" / "x.png").code == 1


def test_an_image_that_is_another_one_now_is_not_drawn(tmp_path: Path) -> None:
    out = written_job(tmp_path, SAID)
    picture(tmp_path / "in" / "a.png", (50, 50))
    result = command("explain", out, "a.png", "--picture", tmp_path / "drawn.png")
    assert (result.code, "its file was changed" in result.err) == (2, True)
    assert not (tmp_path / "drawn.png").exists()


# on the screen


def test_in_a_pipe_it_is_plain_text_of_80_columns(tmp_path: Path) -> None:
    said = answer("\x1b[31mred", 1, 1, 200, 200, *["word " * 40, 1, 1, 300, 300], "")
    out = written_job(tmp_path, {"a.png": [said]}, min_score=0.1, formats="yolo")
    text = command("explain", out, "a.png").out
    assert "\x1b" not in text and "\\x1b[31mred" in text
    commands = "florence-annotate"
    assert all(len(line) <= 80 for line in text.splitlines() if commands not in line)
    assert json.loads(command("explain", out, "a.png", "--json").out)["kept"]


def test_a_folder_without_a_job_is_told(tmp_path: Path) -> None:
    for name in (("explain", tmp_path, "a.png"), ("stats", tmp_path)):
        result = command(*name, "--json")
        assert (result.code, result.json["error"]["kind"]) == (1, "job")
