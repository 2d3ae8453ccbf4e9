"""Every task and recipe through the real command, on the embedded checkpoint."""

import importlib.util
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import annotate, command, rows
from PIL import Image
from pycocotools.coco import COCO

import florence_annotate
from florence_annotate import tasks
from florence_annotate.answers import reading
from florence_annotate.checkpoints import checkpoint as checkpoints
from florence_annotate.engines.annotator import Annotator
from florence_annotate.images import codec
from florence_annotate.images.loading import LoadingOptions, load_batches
from florence_annotate.images.sources import Sources
from florence_annotate.model.florence import Florence
from florence_annotate.questions.recipes import RecipeName
from florence_annotate.tasks import Gives, Takes
from florence_annotate.types import Generation, Record

FEW = ("--limit", 4, "--images", "none", "--format", "jsonl")


def options_of(task: tasks.Task, scenes: Path) -> list[object]:
    """What a task needs besides the images."""
    needs: dict[Takes, list[object]] = {
        Takes.NOTHING: [],
        Takes.TEXT: ["--text", "star"],
        Takes.REGION: ["--regions", scenes / "ground-truth.json"],
    }
    return ["--task", task.name, *needs[task.takes]]


@pytest.mark.parametrize("task", tasks.TASKS, ids=lambda task: task.name)
def test_every_task_writes_what_it_gives(task: tasks.Task, scenes: Path, tmp_path: Path) -> None:
    options = [*options_of(task, scenes), *FEW, "--visuals"]
    result = annotate(scenes, tmp_path / "out", *options)
    assert result.code == 0, result.err
    read = rows(tmp_path / "out")
    assert len(read) == 4 == len(list((tmp_path / "out" / "visuals").rglob("*.jpg")))
    is_caption = task.gives is Gives.TEXT and task.takes is Takes.NOTHING
    assert all(len(row["captions"]) == is_caption for row in read)
    instances = [(row, one) for row in read for one in row["instances"]]
    assert bool(instances) is not is_caption
    for row, one in instances:
        x1, y1, x2, y2 = one["box"]
        assert 0 <= x1 < x2 <= row["width"] and 0 <= y1 < y2 <= row["height"]
        if task.gives is Gives.POLYGONS:
            assert all(len(polygon) >= 6 for polygon in one["polygons"])
        if task.gives is Gives.QUADS:
            assert len(one["quad"]) == 8 and one["class"] == "text"
    if task.name in ("region-to-description", "region-to-ocr"):
        assert all("text" in one for _, one in instances)
        # no word is printed on a shape
        assert any(one["text"] for _, one in instances) is (task.name == "region-to-description")
    said = [one.get("text") or one["class"] for _, one in instances]
    said += [caption["text"] for row in read for caption in row["captions"]]
    assert not any("<" in text for text in said)


class TestRecipes:
    def test_masks_are_joined_to_their_boxes(self, scenes: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        assert annotate(scenes, out, "--recipe", "instance-segmentation", "--limit", 6).code == 0
        dataset = florence_annotate.open_dataset(out)
        plain = tmp_path / "plain"
        assert annotate(scenes, plain, "--limit", 6).code == 0
        for image, boxes_only in zip(dataset, florence_annotate.open_dataset(plain), strict=True):
            assert [one.box for one in image.instances] == [o.box for o in boxes_only.instances]
            detections = image.to_supervision()
            for one, mask in zip(image.instances, detections.mask, strict=True):
                assert one.polygons
                x1, y1, x2, y2 = (round(edge) for edge in one.box)
                assert mask[y1:y2, x1:x2].sum() > 0.8 * mask.sum() > 0

    @pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # pycocotools with numpy 2
    def test_coco_and_yolo_hold_the_masks(self, scenes: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        assert annotate(scenes, out, "--recipe", "instance-segmentation", "--limit", 6).code == 0
        read = COCO(str(out / "annotations" / "instances_train.json"))
        for row in read.loadAnns(read.getAnnIds()):
            assert read.annToMask(row).sum() == pytest.approx(row["area"], rel=0.1, abs=40)
        lines = [
            line
            for file in (out / "labels").rglob("*.txt")
            for line in file.read_text().splitlines()
        ]
        assert lines and all(len(line.split()) >= 7 and len(line.split()) % 2 for line in lines)

    def test_an_image_is_encoded_once(
        self, scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        views: list[Any] = []
        encode = Florence.encode

        def count(self: Florence, pixels: list[Any]) -> Any:
            views.extend(pixels)
            return encode(self, pixels)

        monkeypatch.setattr(Florence, "encode", count)
        options = ["--recipe", "describe", "--no-canary", *FEW]
        assert annotate(scenes, tmp_path / "out", *options).code == 0
        assert len(views) == 4
        described = rows(tmp_path / "out")
        assert all(row["captions"] for row in described)
        assert all(one["text"] for row in described for one in row["instances"])

    def test_a_caption_is_grounded(self, scenes: Path, tmp_path: Path) -> None:
        options = ["--recipe", "caption-grounding", *FEW]
        assert annotate(scenes, tmp_path / "out", *options).code == 0
        for row in rows(tmp_path / "out"):
            (caption,) = row["captions"]
            assert row["instances"]
            assert all(one["class"] in caption["text"] for one in row["instances"])

    def test_verified_classes_can_be_exported_unverified(
        self, scenes: Path, tmp_path: Path
    ) -> None:
        classes = ["--classes", "red star,blue cross,pink ellipse"]
        out = tmp_path / "out"
        assert annotate(scenes, out, "--presence", *classes, *FEW).code == 0
        verified = rows(out)
        assert command("export", out, "--no-presence").code == 0
        for one, other in zip(verified, rows(out), strict=True):
            assert len(one["instances"]) <= len(other["instances"])
            kept = [instance["box"] for instance in other["instances"]]
            assert all(instance["box"] in kept for instance in one["instances"])

    def test_classes_that_nothing_else_verifies_are_left_out(
        self, scenes: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "out"
        classes = ["--classes", "star,cross,ellipse", "--strategy", "open-vocabulary"]
        assert annotate(scenes, out, "--recipe", "verify", *classes, *FEW).code == 0
        verified = sum(len(row["instances"]) for row in rows(out))
        with sqlite3.connect(out / "job.db") as connection:
            connection.execute("DELETE FROM answers WHERE task != '<OPEN_VOCABULARY_DETECTION>'")
        connection.close()
        # other settings, since an export of the same attempts under the same is not built again
        assert command("export", out, "--seed", 1).code == 0
        assert [row["instances"] for row in rows(out)] == [[]] * 4
        reasons = [one["reason"] for row in rows(out) for one in row["dropped"]]
        assert reasons.count("absent") >= verified > 0
        assert command("export", out, "--no-presence").code == 0
        assert sum(len(row["instances"]) for row in rows(out)) >= verified

    def test_what_only_verifies_is_no_part_of_the_dataset(
        self, scenes: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "out"
        # stars are found by <OD>, red crosses by a prompt, and dense captions verify the latter
        classes = ["--classes", "star,red cross"]
        assert annotate(scenes, out, "--recipe", "verify", *classes, *FEW).code == 0
        verifying = [
            one for row in rows(out) for one in row["dropped"] if one["reason"] == "witness"
        ]
        assert verifying
        tasks_kept = {one["task"] for row in rows(out) for one in row["instances"]}
        assert tasks_kept <= {"detection", "open-vocabulary"}
        summary = json.loads((out / "summary.json").read_text())
        assert summary["dropped"]["witness"] == len(verifying)
        assert not any(" " in label for label in summary["unmapped_labels"])

    def test_presence_needs_second_questions(self, dataset: Path) -> None:
        refused = command("export", dataset, "--presence")
        assert refused.code == 2 and "--recipe verify" in refused.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--task", "grounding"], "--text"),
        (["--task", "ocr", "--text", "x"], "takes no text"),
        (["--task", "caption", "--classes", "a"], "names no classes"),
        (["--task", "ocr-regions", "--classes", "a"], "names no classes"),
        (["--task", "open-vocabulary", "--text", "a hat", "--classes", "hat"], "can find hat"),
        (["--task", "region-to-ocr"], "needs --regions"),
        (["--task", "grounding", "--text", "a", "--texts", "sidecar"], "not both"),
        (["--task", "grounding", "--text", "a </s> b"], "control token"),
        (["--recipe", "describe", "--task", "ocr"], "begins with boxes"),
        (["--recipe", "caption-grounding", "--task", "ocr"], "begins with a caption"),
        (["--recipe", "verify"], "asked by name"),
        (["--recipe", "guess"], "instance-segmentation"),
        (["--task", "grounding", "--text", " "], "--text is empty"),
        (["--task", "caption", "--strategy", "grounding"], "leave it out here"),
        (["--recipe", "caption-grounding", "--tiles", "2x2"], "about the whole image"),
        (
            ["--recipe", "instance-segmentation", "--task", "region-proposals", "--classes", "a"],
            "names no classes",
        ),
        (["--task", "grounding", "--texts", "sidecar"], "no image has a .txt"),
        (["--revision", "main"], "--revision is that of a checkpoint on the hub"),
        (
            [
                *("--recipe", "verify", "--strategy", "open-vocabulary", "--classes", "star"),
                *("--constrain", "labels"),
            ],
            "--recipe verify",
        ),
        (["--format", "label-studio", "--images", "none"], "--images none"),
        (["--presence", "--recipe", "describe"], "--recipe verify"),
        (["--task", "caption", "--format", "yolo"], "would hold nothing"),
        (["--format", "yolo,yolo-obb"], "same files"),
    ],
)
def test_what_contradicts_itself_is_refused_before_anything_is_written(
    options: list[object], message: str, scenes: Path, tmp_path: Path
) -> None:
    result = annotate(scenes, tmp_path / "out", *options)
    assert result.code == (1 if "--revision" in options else 2)
    assert message in " ".join(result.err.split())
    assert not (tmp_path / "out").exists()


def test_small_text_is_kept_unless_asked_otherwise(scenes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ["--task", "ocr-regions", "--format", "jsonl", "--images", "none"]
    assert annotate(scenes, out, *options).code == 0
    assert not any("area" in one["reason"] for row in rows(out) for one in row["dropped"])
    areas = [
        (x2 - x1) * (y2 - y1)
        for row in rows(out)
        for x1, y1, x2, y2 in (one["box"] for one in row["instances"])
    ]
    middle = sorted(areas)[len(areas) // 2]
    assert command("export", out, "--min-area", middle).code == 0
    left = [one for row in rows(out) for one in row["instances"]]
    assert len(left) == sum(area >= middle for area in areas)
    reasons = {one["reason"] for row in rows(out) for one in row["dropped"]}
    assert "min-area" in reasons


def test_visuals_of_tiny_images_are_legible(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.new("RGB", (40, 30), "red").save(tmp_path / "in" / "tiny.png")
    assert annotate(tmp_path / "in", tmp_path / "out", "--task", "caption", "--visuals").code == 0
    (drawn,) = (tmp_path / "out" / "visuals").rglob("*.jpg")
    with Image.open(drawn) as image:
        assert image.width == 240 and image.height > 180


def test_the_page_about_tasks_is_the_one_that_the_table_gives() -> None:
    docs = Path(__file__).parents[2] / "docs"
    described = importlib.util.spec_from_file_location("make_tasks", docs / "make_tasks.py")
    assert described and described.loader
    maker = importlib.util.module_from_spec(described)
    described.loader.exec_module(maker)
    assert (docs / "tasks.md").read_text(encoding="utf-8") == maker.text()
    named = [*(task.name for task in tasks.TASKS), *RecipeName]
    assert {path.stem for path in (docs / "images").iterdir()} == set(named)


def test_the_recipe_of_the_page_works(scenes: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "tasks.md").read_text(encoding="utf-8")
    code = page.split("```python\n")[1].split("```")[0]
    namespace: dict[str, Any] = {"__name__": "page"}
    exec(code, namespace)
    checkpoint = checkpoints.find("shapes")
    model = Florence(checkpoint, torch.device("cpu"), torch.float32, "sdpa")
    annotator = Annotator(model, namespace["ReadEachBox"](), Generation(64, 1, 0, False), 4)
    options = LoadingOptions(checkpoint.image_size, 4, workers=0)
    refs = list(Sources((str(scenes),), codec.SUFFIXES))[:2]
    records = [
        record
        for some in annotator.annotate(load_batches(refs, options))
        for record in some
        if isinstance(record, Record)
    ]
    assert len(records) == 2
    for record in records:
        found = reading.read(record).instances
        assert found and all(one.text is not None for one in found)
