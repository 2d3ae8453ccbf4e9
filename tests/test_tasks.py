"""Every task and recipe through the real command, on the embedded checkpoint."""

import importlib.util
import json
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import annotate, command
from PIL import Image
from pycocotools.coco import COCO

import florence_annotate
from florence_annotate import images, reading, tasks
from florence_annotate.annotator import Annotator
from florence_annotate.journal import Journal
from florence_annotate.loading import LoadingOptions, load_batches
from florence_annotate.model import checkpoint as checkpoints
from florence_annotate.model.florence import Florence
from florence_annotate.request import RecipeName
from florence_annotate.sources import Sources
from florence_annotate.tasks import Gives, Takes
from florence_annotate.types import Generation, Record


def coco_of(bbox: list[float], image_id: int = 1, category_id: int = 1, name: str = "thing") -> str:
    """A COCO file with one annotation."""
    annotation = {"image_id": image_id, "category_id": category_id, "bbox": bbox}
    return json.dumps(
        {
            "images": [{"id": 1, "file_name": "a"}],
            "annotations": [annotation],
            "categories": [{"id": 1, "name": name}],
        }
    )


FEW = ("--limit", 4, "--images", "none", "--format", "jsonl")


def rows(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "annotations.jsonl").read_text().splitlines()]


def options_of(task: tasks.Task, scenes: Path) -> list[object]:
    """What a task needs besides the pictures."""
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


class TestRegions:
    def test_given_boxes_stay_as_they_are(self, scenes: Path, tmp_path: Path) -> None:
        truth = json.loads((scenes / "ground-truth.json").read_text())
        shift = 0.37  # between two bins
        for annotation in truth["annotations"]:
            annotation["bbox"][0] += shift
            annotation["bbox"][2] -= shift
        (tmp_path / "shifted.json").write_text(json.dumps(truth))
        regions = ["--regions", tmp_path / "shifted.json"]
        options = ["--task", "region-to-description", *regions, *FEW]
        assert annotate(scenes, tmp_path / "out", *options).code == 0
        names = {image["id"]: image["file_name"] for image in truth["images"]}
        wanted: dict[str, list[list[float]]] = {}
        for annotation in truth["annotations"]:
            x, y, width, height = annotation["bbox"]
            wanted.setdefault(names[annotation["image_id"]], []).append(
                [x, y, x + width, y + height]
            )
        for row in rows(tmp_path / "out"):
            assert np.allclose([one["box"] for one in row["instances"]], wanted[row["key"]])

    def test_a_yolo_folder_means_the_same_as_a_coco_file(
        self, scenes: Path, dataset: Path, tmp_path: Path
    ) -> None:
        coco = tmp_path / "coco.json"
        parts = [
            json.loads((dataset / "annotations" / f"instances_{split}.json").read_text())
            for split in ("train", "val")
        ]
        for place, part in enumerate(parts):
            for image in part["images"]:
                image["id"] += 1000 * place
            for annotation in part["annotations"]:
                annotation["image_id"] += 1000 * place
        whole = {name: parts[0][name] + parts[1][name] for name in ("images", "annotations")}
        coco.write_text(json.dumps({**whole, "categories": parts[0]["categories"]}))
        found = []
        for regions in (coco, dataset):
            out = tmp_path / f"out-{regions.name}"
            options = ["--task", "region-to-category", "--regions", regions, *FEW]
            result = annotate(scenes, out, *options)
            assert result.code == 0, result.err
            found.append(rows(out))
        for one, other in zip(*found, strict=True):
            assert [i["class"] for i in one["instances"]] == [
                i["class"] for i in other["instances"]
            ]
            boxes = [[i["box"] for i in row["instances"]] for row in (one, other)]
            assert np.allclose(boxes[0], boxes[1], atol=0.01)

    def test_known_labels_are_kept_where_the_task_gives_none(
        self, scenes: Path, tmp_path: Path
    ) -> None:
        regions = ["--regions", scenes / "ground-truth.json"]
        options = ["--task", "region-to-segmentation", *regions, *FEW]
        assert annotate(scenes, tmp_path / "out", *options).code == 0
        wanted = COCO(str(scenes / "ground-truth.json"))
        images = {image["file_name"]: image["id"] for image in wanted.imgs.values()}
        for row in rows(tmp_path / "out"):
            given = wanted.loadAnns(wanted.getAnnIds(images[row["file_name"]]))
            assert [one["class"] for one in row["instances"]] == [
                wanted.cats[one["category_id"]]["name"] for one in given
            ]

    @pytest.mark.parametrize(
        "row",
        [
            *("", "0 0.5 0.5 0.1", "a b c d e", "0 0.1 0.1 0.2 0.1 0.2 0.2"),
            *("0 100 100 50 50", "0 -0.1 0.5 0.1 0.1", "7 0.5 0.5 0.1 0.1", "0 nan 0.5 0.1 0.1"),
        ],
    )
    def test_yolo_rows_that_are_no_boxes_are_refused(
        self, row: str, scenes: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "yolo" / "labels" / "train").mkdir(parents=True)
        (tmp_path / "yolo" / "data.yaml").write_text("names: [a]")
        (tmp_path / "yolo" / "labels" / "train" / "x.txt").write_text(row)
        options = ["--task", "region-to-ocr", "--regions", tmp_path / "yolo"]
        result = annotate(scenes, tmp_path / "out", *options)
        assert result.code == 2 and "regions" in result.err

    def test_splits_of_yolo_may_share_names(self, scenes: Path, tmp_path: Path) -> None:
        first, second = sorted(scenes.glob("*.jpg"))[:2]
        places = {"train": (first, "0 0.5 0.5 0.5 0.5"), "val": (second, "1 0.25 0.25 0.5 0.5")}
        (tmp_path / "data.yaml").write_text("names: [a, b]")
        # of another name than any label: no picture of the other split is meant
        (tmp_path / "images" / "val").mkdir(parents=True)
        (tmp_path / "images" / "val" / "2.jpg").write_bytes(first.read_bytes())
        (tmp_path / "labels" / "train").mkdir(parents=True)
        (tmp_path / "labels" / "train" / "2.txt").write_text("0 0.5 0.5 0.5 0.5")
        for split, (picture, line) in places.items():
            for folder in ("images", "labels"):
                (tmp_path / folder / split).mkdir(parents=True, exist_ok=True)
            (tmp_path / "images" / split / "1.jpg").write_bytes(picture.read_bytes())
            (tmp_path / "labels" / split / "1.txt").write_text(f"\n{line}\n")
        options = ["--task", "region-to-segmentation", "--regions", tmp_path, *FEW]
        out = tmp_path.with_name("regions-out")
        assert annotate(tmp_path / "images", out, *options).code == 0
        found = {row["key"]: row["instances"][0] for row in rows(out)}
        assert {key: one["class"] for key, one in found.items()} == {
            "train/1.jpg": "a", "val/1.jpg": "b",
        }  # fmt: skip
        refused = annotate(tmp_path / "images" / "train", tmp_path.with_name("other"), *options)
        assert refused.code == 2 and "in several folders" in " ".join(refused.err.split())

    @pytest.mark.parametrize(
        "content",
        [
            *("{", "[]", '{"images": []}', coco_of([float("nan"), 1, 5, 5])),
            *(coco_of([0, 0, 1e308, 5]), coco_of([0, 0, -5, 5]), coco_of([0, 0, 5])),
            *(coco_of([0, 0, 5, 5], image_id=7), coco_of([0, 0, 5, 5], category_id=7)),
            *('{"images": [], "annotations": []}', coco_of([0, 0, 5, 5], name="a\nb")),
        ],
    )
    def test_a_file_that_holds_no_regions_is_refused(
        self, content: str, scenes: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "regions.json").write_text(content)
        options = ["--task", "region-to-ocr", "--regions", tmp_path / "regions.json"]
        result = annotate(scenes, tmp_path / "out", *options)
        assert result.code == 2 and "regions" in result.err
        assert not (tmp_path / "out").exists()


class TestTexts:
    def test_each_picture_has_its_own_text(self, scenes: Path, tmp_path: Path) -> None:
        first, second, *others = sorted(path.name for path in scenes.glob("*.jpg"))
        csv = f"image,text\n{first},a star\nelsewhere/{second},a star\n{others[0]},a cross\n"
        (tmp_path / "texts.csv").write_text(csv)
        options = ["--task", "grounding", "--texts", tmp_path / "texts.csv", *FEW]
        assert annotate(scenes, tmp_path / "out", *options).code == 0
        dataset = florence_annotate.open_dataset(tmp_path / "out")
        asked = {image.ref.key: image.instances for image in dataset}
        was_asked = {image.ref.key for image in dataset if image.was_asked}
        assert was_asked == {first, others[0]}  # the name of the second is not that in the file
        assert {row["key"] for row in rows(tmp_path / "out")} == was_asked
        assert {one.label for one in asked[first]} <= {"star"}
        with Journal.open_existing(tmp_path / "out") as journal:
            texts = {
                record.ref.key: [answer.question.text for answer in record.answers]
                for record in journal.records()
            }
        assert texts[first] == ["a star"] and texts[others[0]] == ["a cross"]
        assert texts[second] == texts[others[1]] == []

    def test_a_text_may_lie_beside_the_picture(self, scenes: Path, tmp_path: Path) -> None:
        folder = tmp_path / "in"
        folder.mkdir()
        for path in sorted(scenes.glob("*.jpg"))[:2]:
            (folder / path.name).write_bytes(path.read_bytes())
        named = sorted(folder.glob("*.jpg"))[0]
        named.with_suffix(".txt").write_text("a star, a cross and\nan ellipse\n")
        options = ["--task", "grounding", "--texts", "sidecar", "--format", "jsonl"]
        result = annotate(folder, tmp_path / "out", *options)
        assert result.code == 0 and "1 picture without a text" in result.out
        assert json.loads((tmp_path / "out/summary.json").read_text())["images_not_asked"] == 1
        (with_text,) = rows(tmp_path / "out")  # nothing is known of the other
        assert with_text["instances"]
        with Journal.open_existing(tmp_path / "out") as journal:
            (asked,) = next(journal.records()).answers
        assert asked.question.text == "a star, a cross and an ellipse"

    @pytest.mark.parametrize("said", ["a star " * 1000, "a star </s> a cross"])
    def test_a_text_that_cannot_be_asked_is_a_failure_of_its_picture(
        self, said: str, scenes: Path, tmp_path: Path
    ) -> None:
        first, second, *_ = sorted(path.name for path in scenes.glob("*.jpg"))
        (tmp_path / "texts.csv").write_text(f"image,text\n{first},{said}\n{second},a star\n")
        options = ["--task", "grounding", "--texts", tmp_path / "texts.csv", *FEW]
        assert annotate(scenes, tmp_path / "out", *options).code == 3
        (failure,) = command("failures", tmp_path / "out", "--json").json
        assert (failure["key"], failure["kind"]) == (first, "unaskable")
        assert [row["key"] for row in rows(tmp_path / "out")] == [second]

    def test_names_may_be_paths_and_those_of_no_picture_are_said(
        self, scenes: Path, tmp_path: Path
    ) -> None:
        path = sorted(scenes.glob("*.jpg"))[0]
        (tmp_path / "texts.csv").write_text(f"image,text\n{path},a star\nnowhere.jpg,a cross\n")
        options = ["--task", "grounding", "--texts", tmp_path / "texts.csv", "--format", "jsonl"]
        result = annotate(scenes, tmp_path / "out", *options)
        assert result.code == 0 and "fit no picture: 'nowhere.jpg'" in result.err
        assert [row["key"] for row in rows(tmp_path / "out")] == [path.name]

    def test_a_name_that_two_pictures_have_is_refused(self, scenes: Path, tmp_path: Path) -> None:
        picture = next(scenes.glob("*.jpg"))
        for folder in ("in/a", "in/b"):
            (tmp_path / folder).mkdir(parents=True)
            (tmp_path / folder / "1.jpg").write_bytes(picture.read_bytes())
        texts = tmp_path / "texts.csv"
        options = ["--task", "grounding", "--texts", texts, "--format", "jsonl"]
        for name, message in (("1.jpg", "a/1.jpg and b/1.jpg"), ("2.jpg", "none of the pictures")):
            texts.write_text(f"image,text\n{name},a star\n")
            result = annotate(tmp_path / "in", tmp_path / "out", *options)
            assert result.code == 2 and message in " ".join(result.err.split())
        texts.write_text("image,text\na/1.jpg,a star\nb/1.jpg,a cross\n")
        assert annotate(tmp_path / "in", tmp_path / "out", *options).code == 0

    @pytest.mark.parametrize(
        "content",
        [
            "",
            "picture,text\na,b\n",
            "image,text\na.jpg,x\na.jpg,y\n",
            "image,text\na.jpg,a cat, a dog\n",
            'image,text\na.jpg,"a cat\nb.jpg,a dog\n',
        ],
    )
    def test_a_file_that_cannot_be_read_as_texts_is_refused(
        self, content: str, scenes: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "texts.csv").write_text(content)
        options = ["--task", "grounding", "--texts", tmp_path / "texts.csv"]
        result = annotate(scenes, tmp_path / "out", *options)
        assert result.code == 2 and "texts.csv" in result.err


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

    def test_a_picture_is_encoded_once(
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

    def test_classes_that_nothing_else_confirms_are_left_out(
        self, scenes: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "out"
        classes = ["--classes", "star,cross,ellipse", "--strategy", "open-vocabulary"]
        assert annotate(scenes, out, "--recipe", "verify", *classes, *FEW).code == 0
        confirmed = sum(len(row["instances"]) for row in rows(out))
        with sqlite3.connect(out / "job.db") as connection:
            connection.execute("DELETE FROM answers WHERE task != '<OPEN_VOCABULARY_DETECTION>'")
        connection.close()
        assert command("export", out).code == 0
        assert [row["instances"] for row in rows(out)] == [[]] * 4
        reasons = [one["reason"] for row in rows(out) for one in row["dropped"]]
        assert reasons.count("absent") >= confirmed > 0
        assert command("export", out, "--no-presence").code == 0
        assert sum(len(row["instances"]) for row in rows(out)) >= confirmed

    def test_witnesses_are_no_part_of_the_dataset(self, scenes: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        # stars are found by <OD>, red crosses by a prompt, and dense captions confirm the latter
        classes = ["--classes", "star,red cross"]
        assert annotate(scenes, out, "--recipe", "verify", *classes, *FEW).code == 0
        witnesses = [
            one for row in rows(out) for one in row["dropped"] if one["reason"] == "witness"
        ]
        assert witnesses
        tasks_kept = {one["task"] for row in rows(out) for one in row["instances"]}
        assert tasks_kept <= {"detection", "open-vocabulary"}
        summary = json.loads((out / "summary.json").read_text())
        assert summary["dropped"]["witness"] == len(witnesses)
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
        (["--recipe", "caption-grounding", "--tiles", "2x2"], "about the whole picture"),
        (
            ["--recipe", "instance-segmentation", "--task", "region-proposals", "--classes", "a"],
            "names no classes",
        ),
        (["--task", "grounding", "--texts", "sidecar"], "no picture has a .txt"),
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


def test_a_job_of_the_first_schema_goes_on(scenes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert annotate(scenes, out, "--limit", 2).code == 0
    with sqlite3.connect(out / "job.db") as connection:
        connection.execute("ALTER TABLE answers DROP COLUMN region")
        connection.execute("ALTER TABLE answers DROP COLUMN label")
        connection.execute("ALTER TABLE answers DROP COLUMN view")
        connection.execute("PRAGMA user_version=1")
    connection.close()
    assert annotate(scenes, out, "--limit", 4).code == 0
    assert sum(1 for _ in florence_annotate.open_dataset(out)) == 4


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


def test_visuals_of_tiny_pictures_are_legible(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.new("RGB", (40, 30), "red").save(tmp_path / "in" / "tiny.png")
    assert annotate(tmp_path / "in", tmp_path / "out", "--task", "caption", "--visuals").code == 0
    (drawn,) = (tmp_path / "out" / "visuals").rglob("*.jpg")
    with Image.open(drawn) as image:
        assert image.width == 240 and image.height > 180


def test_the_page_about_tasks_is_the_one_that_the_table_gives() -> None:
    docs = Path(__file__).parent.parent / "docs"
    described = importlib.util.spec_from_file_location("make_tasks", docs / "make_tasks.py")
    assert described and described.loader
    maker = importlib.util.module_from_spec(described)
    described.loader.exec_module(maker)
    assert (docs / "tasks.md").read_text(encoding="utf-8") == maker.text()
    named = [*(task.name for task in tasks.TASKS), *RecipeName]
    assert {path.stem for path in (docs / "pictures").iterdir()} == set(named)


def test_the_recipe_of_the_page_works(scenes: Path) -> None:
    page = (Path(__file__).parent.parent / "docs" / "tasks.md").read_text(encoding="utf-8")
    code = page.split("```python\n")[1].split("```")[0]
    namespace: dict[str, Any] = {"__name__": "page"}
    exec(code, namespace)
    checkpoint = checkpoints.find("shapes")
    model = Florence(checkpoint, torch.device("cpu"), torch.float32, "sdpa")
    annotator = Annotator(model, namespace["ReadEachBox"](), Generation(64, 1, 0, False), 4)
    options = LoadingOptions(checkpoint.image_size, 4, workers=0)
    refs = list(Sources((str(scenes),), images.SUFFIXES))[:2]
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
