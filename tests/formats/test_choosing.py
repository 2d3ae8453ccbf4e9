"""Images that stay out of an export on purpose, and come back."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import command, rows, tree
from read_back import image_names
from written_answers import answer, written_job

import florence_annotate
from florence_annotate.tasks import CAPTION, OD
from florence_annotate.types import Question

CAR = answer("car", 1, 2, 300, 400)
SAID = {
    "a.png": [CAR],
    "day/b.png": [CAR],
    "day/c.jpg": [answer()],
    "night/d.png": [answer("cat", 1, 2, 300, 400)],
}
HALVES = "train=0.5,val=0.5"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A job that no model ran, not exported yet."""
    return written_job(tmp_path, SAID, formats="yolo,coco,jsonl", split=HALVES)


def export(out: Path, *flags: object) -> Any:
    result = command("export", out, *flags, "--json")
    assert result.code == 0, result.err
    return result.json


def keys(out: Path) -> list[str]:
    return [row["key"] for row in rows(out)]


def numbers(out: Path) -> dict[str, int]:
    """Name → number of each image in COCO."""
    files = (out / "annotations").glob("instances_*.json")
    images = [image for file in files for image in json.loads(file.read_text())["images"]]
    return {image["file_name"]: image["id"] for image in images}


def test_patterns_choose_among_the_images_of_the_job_as_in_run(out: Path) -> None:
    summary = export(out, "--include", "day/*,*.png", "--exclude", "d.*")
    assert keys(out) == ["a.png", "day/b.png", "day/c.jpg"]
    assert summary["images_not_included"] == 1
    assert summary["left_out"] == {}
    assert summary["images"]["images"] == 4
    shown = command("export", out, "--exclude", "day/*").out
    assert "2 images left out by --include or --exclude" in shown
    assert keys(out) == ["a.png", "night/d.png"]


def test_what_is_left_out_leaves_the_folder_and_comes_back_as_it_was(out: Path) -> None:
    export(out)
    everything = tree(out)
    export(out, "--exclude", "day/*")
    assert {path for path in everything if "/day/" in path}
    assert not {path for path in tree(out) if "/day/" in path}
    assert keys(out) == ["a.png", "night/d.png"]
    assert export(out)["images_not_included"] == 0
    assert tree(out) == everything


def test_what_was_left_out_at_first_takes_no_number_of_another(out: Path) -> None:
    export(out, "--exclude", "day/*")
    first = numbers(out)
    assert len(first) == 2
    export(out)
    assert {name: number for name, number in numbers(out).items() if name in first} == first
    assert sorted(numbers(out).values()) == [1, 2, 3, 4]


def test_the_last_copy_of_what_is_left_out_stays_and_comes_back(out: Path, tmp_path: Path) -> None:
    before = export(out, "--images", "copy")["files"]
    shutil.rmtree(tmp_path / "in")
    summary = export(out, "--images", "copy", "--exclude", "day/*")
    assert summary["left_out"] == {}
    assert len(list((out / "orphans").iterdir())) == 2
    assert export(out, "--images", "copy")["files"] == before


def test_an_export_of_the_same_choice_is_told_alike_and_another_one_is_made(out: Path) -> None:
    flags = ("--exclude", "day/*", "--labelled-only")
    first = export(out, *flags)
    assert export(out, *flags) == first
    assert export(out, "--exclude", "night/*")["images_not_included"] == 1
    assert keys(out) == ["a.png", "day/b.png", "day/c.jpg"]


def test_patterns_that_leave_no_image_are_refused_and_nothing_is_touched(out: Path) -> None:
    export(out)
    before = tree(out)
    result = command("export", out, "--include", "dya/*")
    assert result.code == 2
    assert "--include and --exclude leave none of the job's images" in result.err
    assert len(result.err.splitlines()) == 1
    assert tree(out) == before


def test_images_without_a_label_stay_out_where_that_is_asked(out: Path) -> None:
    assert export(out, "--labelled-only")["images_without_labels"] == 1
    assert keys(out) == ["a.png", "day/b.png", "night/d.png"]
    assert len(image_names(out)) == 3
    summary = export(out, "--labelled-only", "--classes", "cat")
    assert (summary["images_without_labels"], keys(out)) == (3, ["night/d.png"])
    shown = command("export", out, "--labelled-only", "--classes", "car,cat", "--renumber").out
    assert "1 image without a label left out by --labelled-only" in shown
    assert export(out)["images_without_labels"] == 0
    assert len(keys(out)) == 4


def test_a_caption_is_a_label_where_the_job_gives_captions(tmp_path: Path) -> None:
    said = {
        "caption.png": [answer(), answer("a street", task=CAPTION)],
        "box.png": [CAR, answer("", task=CAPTION)],
        "nothing.png": [answer(), answer("", task=CAPTION)],
    }
    asked = Question(OD), Question(CAPTION)
    out = written_job(tmp_path, said, asked, formats="jsonl", labelled_only=True)
    assert export(out)["images_without_labels"] == 1
    assert keys(out) == ["box.png", "caption.png"]


def opened(out: Path, **settings: object) -> list[str]:
    images = florence_annotate.open_dataset(out, **settings)  # type: ignore[arg-type]
    return [image.ref.key for image in images]


def test_a_dataset_is_opened_with_the_images_that_the_last_export_took(out: Path) -> None:
    assert opened(out) == list(SAID)  # nothing was exported yet
    export(out, "--exclude", "day/*")
    assert opened(out) == keys(out) == ["a.png", "night/d.png"]
    assert opened(out, exclude="a.png") == ["day/b.png", "day/c.jpg", "night/d.png"]
    assert opened(out, exclude=[]) == list(SAID)
    export(out, "--labelled-only")
    assert opened(out) == keys(out) == ["a.png", "day/b.png", "night/d.png"]
    assert opened(out, policy=out / "policy.yaml") == keys(out)
    assert opened(out, labelled_only=False) == list(SAID)
    export(out)
    assert opened(out) == list(SAID)


def test_a_dataset_is_opened_whatever_became_of_its_originals(out: Path) -> None:
    export(out, "--images", "symlink")
    ref = next(iter(florence_annotate.open_dataset(out))).ref
    Path(os.fsdecode(ref.path)).unlink()
    assert list(export(out)["left_out"]) == [ref.key]
    assert opened(out) == list(SAID)
