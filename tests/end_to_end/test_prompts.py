"""A prompt of the user's own, and several tasks in one run, through the real command."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import annotate, command, rows

import florence_annotate
from florence_annotate import tasks
from florence_annotate.dataset.annotated_image import AnnotatedImage
from florence_annotate.model.florence import Florence
from florence_annotate.types import Question

FEW = ("--limit", 3, "--images", "none", "--format", "jsonl")
FIND = tasks.find("detection").prompt
OUTLINE_STARS = tasks.find("segmentation").prompt.replace("{input}", "star")
READ = tasks.find("ocr-regions").prompt
DESCRIBE = tasks.find("caption").prompt


def without_tasks(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Lines of a dataset, without the names of the tasks that gave what they hold."""
    for row in found:
        for one in (*row["instances"], *row["captions"]):
            del one["task"]
    return found


@pytest.mark.parametrize(
    ("gives", "prompt", "task"),
    [
        ("text", DESCRIBE, "caption"),
        ("boxes", FIND, "detection"),
        ("quads", READ, "ocr-regions"),
    ],
)
def test_the_prompt_of_a_task_gives_what_the_task_gives(
    gives: str, prompt: str, task: str, scenes: Path, tmp_path: Path
) -> None:
    by_task = annotate(scenes, tmp_path / "task", "--task", task, *FEW)
    assert by_task.code == 0, by_task.err
    own = annotate(scenes, tmp_path / "own", "--prompt", prompt, "--gives", gives, *FEW)
    assert own.code == 0, own.err
    found = rows(tmp_path / "own")
    named = {one["task"] for row in found for one in (*row["instances"], *row["captions"])}
    assert named == {"prompt"}
    assert without_tasks(found) == without_tasks(rows(tmp_path / "task"))


def test_outlines_of_a_prompt_are_objects_where_the_model_names_none(
    scenes: Path, tmp_path: Path
) -> None:
    options = ("--prompt", OUTLINE_STARS, "--gives", "polygons", "--limit", 3, "--images", "none")
    done = annotate(scenes, tmp_path / "out", *options, "--constrain", "form", "--json")
    assert done.code == 0, done.err
    assert done.json["formats"] == ["yolo-seg", "coco"]
    assert done.json["classes"].keys() == {"object"}
    assert done.json["classes"]["object"] > 0 == done.json["instances_without_mask"]


def test_a_prompt_binds_its_job_and_classes_are_laid_over_it(scenes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    own = ("--prompt", FIND, "--gives", "boxes", "--images", "none", "--format", "jsonl")
    assert annotate(scenes, out, *own, "--limit", 2).code == 0
    status = command("status", out)
    assert f"prompt:boxes {FIND}" in status.out
    for other in (("--prompt", "Find.", "--gives", "boxes"), ("--prompt", FIND), ()):
        refused = annotate(scenes, out, *other)
        assert refused.code == 1
        assert f'questions = [["prompt:boxes", "{FIND}"]]' in refused.err
    assert annotate(scenes, out, *own, "--limit", 3).code == 0
    resumed = command("resume", out, "--json")
    assert resumed.code == 0 and resumed.json["images"]["annotated"] == 3
    assert command("export", out, "--classes", "star,cross").code == 0
    found = rows(out)
    assert {one["class"] for row in found for one in row["instances"]} <= {"star", "cross"}
    assert {one["reason"] for row in found for one in row["dropped"]} == {"no-class"}


def test_control_tokens_go_to_the_model_in_a_prompt_and_nowhere_else(
    model: Florence, scenes: Path, tmp_path: Path
) -> None:
    asked = Question("prompt:text", "<od> star <and> cross</od>")
    assert model.problem(asked) is None
    (od,) = model.vocabulary.text_ids("<od>")
    assert model.vocabulary.prompt_ids(tasks.prompt(asked))[1] == od
    own = ("--prompt", asked.text, "--no-canary", *FEW)
    assert annotate(scenes, tmp_path / "own", *own).code == 0
    refused = annotate(scenes, tmp_path / "text", "--task", "grounding", "--text", asked.text)
    assert refused.code == 2 and "control token" in refused.err


def test_a_prompt_that_is_too_long_is_refused_in_words_for_a_prompt(
    scenes: Path, tmp_path: Path
) -> None:
    refused = annotate(scenes, tmp_path / "out", "--prompt", "find the star " * 500)
    assert refused.code == 2 and "tokens long" in refused.err
    assert "--strategy" not in refused.err and "classes" not in refused.err
    assert not (tmp_path / "out").exists()


def test_a_preset_and_a_dry_run_have_the_prompt(scenes: Path, tmp_path: Path) -> None:
    preset = tmp_path / "tags.yaml"
    preset.write_text("prompt: <TAGS>\ntask: [caption, more-detailed-caption]")
    planned = annotate(scenes, tmp_path / "out", "--config", preset, "--dry-run", "--json")
    assert planned.code == 0, planned.err
    asked = ["<CAPTION>", "<MORE_DETAILED_CAPTION>", "prompt:text <TAGS>"]
    assert planned.json["questions"] == asked


def test_several_tasks_are_answered_in_one_run_from_one_encoding(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[Any] = []
    encode = Florence.encode

    def count(self: Florence, pixels: list[Any]) -> Any:
        encoded.extend(pixels)
        return encode(self, pixels)

    monkeypatch.setattr(Florence, "encode", count)
    names = ["detection", "caption", "more-detailed-caption"]
    together = ("--task", ",".join(names), "--no-canary", *FEW)
    assert annotate(scenes, tmp_path / "out", *together).code == 0
    assert len(encoded) == 3
    found = rows(tmp_path / "out")
    for name in names:
        assert annotate(scenes, tmp_path / name, "--task", name, "--no-canary", *FEW).code == 0
        for row, alone in zip(found, rows(tmp_path / name), strict=True):
            assert [c for c in row["captions"] if c["task"] == name] == alone["captions"]
            assert row["instances"] == alone["instances"] or name != "detection"


def test_the_api_asks_a_prompt_and_several_tasks(scenes: Path) -> None:
    paths = sorted(scenes.glob("*.jpg"))[:2]
    plain = florence_annotate.annotate(paths, model="shapes")
    asked: dict[str, Any] = {"task": ["ocr", "caption"], "prompt": FIND, "gives": "boxes"}
    for image, alone in zip(
        florence_annotate.annotate(paths, model="shapes", **asked), plain, strict=True
    ):
        assert isinstance(image, AnnotatedImage) and isinstance(alone, AnnotatedImage)
        assert [one.box for one in image.instances] == [one.box for one in alone.instances]
        assert [caption.task for caption in image.captions] == ["<OCR>", "<CAPTION>"]


def test_a_summary_tells_the_tasks_and_the_prompt(scenes: Path, tmp_path: Path) -> None:
    own = ("--task", "caption", "--prompt", "<TAGS>", "--no-canary", *FEW)
    assert annotate(scenes, tmp_path / "out", *own).code == 0
    settings = json.loads((tmp_path / "out" / "summary.json").read_text())["settings"]
    assert (settings["task"], settings["prompt"], settings["gives"]) == ("caption", "<TAGS>", None)
