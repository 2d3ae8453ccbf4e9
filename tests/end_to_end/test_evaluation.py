"""`eval`: how good a dataset is, against what is true of its images."""

import json
import os
import shutil
import signal
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Result, annotate, command, tree
from written_answers import answer, answered_job, written_job
from written_truth import truth_of

from florence_annotate.tasks import SEGMENTATION
from florence_annotate.types import Question

SIZE = (100, 80)
"""Of the first image of a written job; each further one is a pixel wider."""

SURE, UNSURE = [-0.1] * 5, [-2.0] * 5
"""Log-probabilities of a label and its locations: scores of 0.90 and 0.14."""


@pytest.fixture
def evaluate(tmp_path: Path) -> Callable[..., Result]:
    """`eval` of a folder against what is given as the content of a COCO file, or as a path."""

    def run(out: Path, truth: Any, *options: object) -> Result:
        path = truth
        if not isinstance(truth, Path):
            path = tmp_path / "truth.json"
            path.write_text(truth if isinstance(truth, str) else json.dumps(truth))
        return command("eval", out, "--ground-truth", path, *options)

    return run


CAR, SEDAN = (10, 10, 50, 40), (60, 10, 90, 40)
CAR_BINS, SEDAN_BINS = (100, 125, 500, 500), (600, 125, 900, 500)


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """Two images: on the first a car is found, and again elsewhere where none is, of a low score;
    and a sedan, which is no class. On the second a dog is said where a car is."""
    said = {
        "a/1.png": [
            answer("car", *CAR_BINS, "car", 700, 700, 900, 900, "sedan", *SEDAN_BINS,
                   logprobs=[*SURE, *UNSURE, *SURE]),
        ],
        "b/2.png": [answer("dog", 99, 125, 495, 500, logprobs=SURE)],
    }  # fmt: skip
    return written_job(tmp_path, said, classes="car,dog", synonyms=False)


TRUE = {"1.png": [("car", CAR), ("car", SEDAN)], "b/2.png": [("car", CAR)]}


def test_every_figure_of_a_small_dataset(job: Path, evaluate: Callable[..., Result]) -> None:
    before = tree(job)
    result = evaluate(job, truth_of(TRUE), "--json")
    assert result.code == 0 and not result.err
    found = result.json
    assert found["images"] == 2 and not found["missed_gates"]
    assert found["at_policy"] == {
        "precision": 1 / 3, "recall": 1 / 3, "f1": 1 / 3, "boxes": 3, "right": 1, "objects": 3,
    }  # fmt: skip
    car, dog = found["classes"]["car"], found["classes"]["dog"]
    assert car["at_best"]["precision"] == 1 and car["at_best"]["min_score"] == 0.5
    assert dog["ap"] is None and dog["at_policy"]["recall"] is None
    assert found["ap"] == car["ap"] == pytest.approx(34 / 101)
    assert found["confusion"] == [[1, 1, 1], [0, 0, 0], [1, 0, 0]]
    kinds = {kind: one["boxes"] for kind, one in found["errors"].items()}
    assert kinds == {
        "class": 1, "localisation": 0, "both": 0, "duplicate": 0, "background": 1, "missed": 1,
    }  # fmt: skip
    assert found["labels_of_no_class"] == [
        {"label": "sedan", "boxes": 1, "on_missed": {"car": 1}},
    ]
    worst = found["worst_images"]
    assert [one["key"] for one in worst] == ["b/2.png", "a/1.png"]
    assert worst[0]["missed"] == {"car": 1} and worst[0]["wrong"] == {"dog": 1}
    assert worst[0]["weight"] == pytest.approx(1.905, abs=0.001)
    bins = {round(one["lower"], 1): one for one in found["calibration"]["bins"] if one["boxes"]}
    assert bins[0.9]["boxes"] == 2 and bins[0.9]["right"] == 0.5 and bins[0.1]["right"] == 0
    assert any("no true object of dog" in note for note in found["notes"])
    assert tree(job) == before


def test_one_is_told_as_one(job: Path, evaluate: Callable[..., Result]) -> None:
    assert "2 images, 3 true boxes, 3 found\n" in evaluate(job, truth_of(TRUE)).out
    assert "1 image, 1 true box, " in evaluate(job, truth_of({"1.png": [("car", CAR)]})).out


def test_thresholds_change_what_is_kept_and_no_average(
    job: Path, evaluate: Callable[..., Result]
) -> None:
    whole = evaluate(job, truth_of(TRUE), "--json").json
    for flags in (["--min-score", 0.5], ["--classes-file", job / "own.yaml", "--min-score", 0]):
        (job / "own.yaml").write_text("car: {min_score: 0.5}\ndog:\n")
        assert command("export", job, *flags).code == 0
        found = evaluate(job, truth_of(TRUE), "--json").json
        assert found["ap"] == whole["ap"] and found["calibration"] == whole["calibration"]
        assert found["at_best"] == whole["at_best"]
        assert found["classes"]["car"]["at_policy"]["precision"] == 1
        assert found["confusion"] == [[1, 1, 1], [0, 0, 0], [0, 0, 0]]
        assert found["errors"]["background"]["boxes"] == 0
    assert (found["min_score"], found["min_score_by_class"]) == (0, {"car": 0.5})


def test_synonyms_of_the_list_stand_for_their_class_on_both_sides(
    job: Path, evaluate: Callable[..., Result]
) -> None:
    (job / "own.yaml").write_text("car: {synonyms: [sedan]}\ndog:\n")
    assert command("export", job, "--classes-file", job / "own.yaml").code == 0
    truth = truth_of({**TRUE, "1.png": [("car", CAR), ("sedan", SEDAN)]}, ["car", "sedan"])
    found = evaluate(job, truth, "--json").json
    assert found["classes"]["car"]["at_policy"]["right"] == 2
    assert [one["label"] for one in found["labels_of_no_class"]] == ["dog"]
    assert any("sedan as car" in note for note in found["notes"])


def test_what_only_one_side_has_is_listed(job: Path, evaluate: Callable[..., Result]) -> None:
    true = {"a/1.png": [("car", CAR), ("bird", SEDAN)], "c/3.png": [("car", CAR)]}
    result = evaluate(job, truth_of(true, ["car", "bird"]), "--json")
    found = result.json
    assert found["only_in_job"] == ["b/2.png"] and found["only_in_ground_truth"] == ["c/3.png"]
    assert found["images"] == 1 and list(found["classes"]) == ["car"]
    notes = "\n".join(found["notes"])
    assert "no bird, which the job was not asked for: 1 true object is in no figure" in notes
    assert "has no dog" in notes
    shown = evaluate(job, truth_of(true, ["car", "bird"])).out
    assert "c/3.png" in shown and "b/2.png" in shown


def test_crowds_are_neither_missed_nor_wrong(job: Path, evaluate: Callable[..., Result]) -> None:
    truth = truth_of({**TRUE, "a/1.png": [("car", CAR)], "1.png": []})
    crowd = {"image_id": 1, "category_id": 1, "bbox": [60, 50, 40, 30], "iscrowd": 1, "id": 99}
    truth["images"] = [one for one in truth["images"] if one["file_name"] != "1.png"]
    truth["annotations"] = [one for one in truth["annotations"] if one["image_id"] != 1]
    found = evaluate(job, truth, "--json").json
    assert found["images"] == 2
    truth["annotations"].append({**crowd, "image_id": truth["images"][-1]["id"]})
    car = evaluate(job, truth, "--json").json["classes"]["car"]
    assert car["at_policy"]["boxes"] == 1 and car["at_policy"]["precision"] == 1


@pytest.mark.parametrize("kind", ["coco", "yolo", "voc"])
def test_a_dataset_is_perfect_against_itself(
    kind: str, dataset: Path, tmp_path: Path, evaluate: Callable[..., Result]
) -> None:
    out = tmp_path / "exported"
    assert command("export", dataset, "-o", out, "--format", kind, "-q").code == 0
    truth = out
    if kind == "coco":
        parts = [json.loads(file.read_text()) for file in (out / "annotations").glob("*.json")]
        truth = tmp_path / "whole.json"
        whole = {name: parts[0][name] + parts[1][name] for name in ("images", "annotations")}
        truth.write_text(json.dumps(whole | {"categories": parts[0]["categories"]}))
    elif kind == "voc":
        truth = out / "voc"
    found = evaluate(dataset, truth, "--json").json
    assert found["images"] == 20 and found["at_policy"]["f1"] == 1
    # whole pixels are what VOC holds
    assert found["ap"] == pytest.approx(1.0, abs=0.05 if kind == "voc" else 1e-9)


def test_a_screen_says_it_all(scenes: Path, dataset: Path, evaluate: Callable[..., Result]) -> None:
    result = evaluate(dataset, scenes / "ground-truth.json")
    assert result.code == 0 and not result.err
    for said in ("AP50", "best at", "localisation", "expected calibration error", "20 images"):
        assert said in result.out
    assert all(len(line.rstrip()) <= 80 for line in result.out.splitlines())


class TestMasks:
    @pytest.fixture
    def job(self, tmp_path: Path) -> Path:
        """A mask of a car, half of its box: x to 50 at the top, and to the left below."""
        triangle = ("<poly>", 100, 125, 500, 125, 100, 500, "</poly>")
        question = Question(SEGMENTATION, "car")
        said = {"1.png": [replace(answer(*triangle, task=SEGMENTATION), question=question)]}
        return written_job(tmp_path, said, [question], classes="car", task="segmentation")

    def test_masks_are_compared(self, job: Path, evaluate: Callable[..., Result]) -> None:
        outline = [10.05, 10.04, 50.05, 10.04, 10.05, 40.04]
        box = {"1.png": [("car", (10, 10, 50, 40))]}
        for segmentation, right in ((outline, 1), ([50, 10, 50, 40, 10, 40], 0)):
            truth = truth_of(box, ["car"], segmentation=[segmentation])
            found = evaluate(job, truth, "--iou", "segm", "--json").json
            assert found["at_policy"]["right"] == right
            assert evaluate(job, truth, "--json").json["at_policy"]["right"] == 1

    def test_run_lengths_and_yolo(
        self, job: Path, tmp_path: Path, evaluate: Callable[..., Result]
    ) -> None:
        runs = [810, *(n for column in range(30, 0, -1) for n in (column, 80 - column))]
        runs[-1] += 8000 - sum(runs)
        segmentation = {"size": [80, 100], "counts": runs}
        truth = truth_of({"1.png": [("car", CAR)]}, ["car"], segmentation=segmentation)
        found = evaluate(job, truth, "--iou", "segm", "--json").json
        assert found["at_policy"]["right"] == 1
        (tmp_path / "yolo" / "labels").mkdir(parents=True)
        (tmp_path / "yolo" / "data.yaml").write_text("names: [car]")
        (tmp_path / "yolo" / "labels" / "1.txt").write_text("0 0.1 0.125 0.5 0.125 0.1 0.5")
        found = evaluate(job, tmp_path / "yolo", "--iou", "segm", "--json").json
        assert found["at_policy"]["right"] == 1

    def test_masks_that_do_not_fit_are_refused(
        self, job: Path, evaluate: Callable[..., Result]
    ) -> None:
        for size, counts, said in (
            ([100, 80], [8000], "a mask of 80x100 pixels on 1.png"),
            ([80, 100], "!", "a mask on 1.png that can't be read"),
            ([80, 100], {}, "neither numbers nor text"),
        ):
            runs = {"size": size, "counts": counts}
            truth = truth_of({"1.png": [("car", CAR)]}, ["car"], segmentation=runs)
            result = evaluate(job, truth, "--iou", "segm")
            assert result.code == 2 and said in result.err
            assert len(result.err.splitlines()) == 1

    def test_a_side_without_masks_is_refused(
        self, job: Path, tmp_path: Path, evaluate: Callable[..., Result]
    ) -> None:
        result = evaluate(job, truth_of({"1.png": [("car", CAR)]}, ["car"]), "--iou", "segm")
        assert result.code == 2 and "1 of 1 objects" in result.err
        out = written_job(tmp_path / "boxes", {"1.png": [answer("car", *CAR_BINS)]})
        outline = [[10, 10, 50, 10, 50, 40]]
        truth = truth_of({"1.png": [("car", CAR)]}, ["car"], segmentation=outline)
        result = evaluate(out, truth, "--iou", "segm")
        assert result.code == 2 and "has boxes alone, without masks" in result.err


class TestGates:
    def test_each_miss_is_a_line_and_the_code_is_3(
        self, job: Path, evaluate: Callable[..., Result]
    ) -> None:
        gates = "ap50=0.9,Car.precision=0.6,car.recall=0.1,dog.ap=0.1"
        result = evaluate(job, truth_of(TRUE), "--fail-under", gates)
        assert result.code == 3
        assert result.err.splitlines() == [
            "ap50 is 0.3366, under 0.9",
            "car.precision is 0.5000, under 0.6",
            "dog.ap can't be told, for want of boxes, and 0.1 is asked",
        ]
        as_json = evaluate(job, truth_of(TRUE), "--fail-under", gates, "--json")
        assert as_json.code == 3 and len(as_json.json["missed_gates"]) == 3
        assert evaluate(job, truth_of(TRUE), "--fail-under", "ap50=0.3").code == 0

    @pytest.mark.parametrize(
        ("gates", "hint"),
        [
            ("ap_smal=0.5", "did you mean ap_small?"),
            ("cars.ap=0.5", "mean car?"),
            ("ap=2", "0 to 1"),
        ],
    )
    def test_a_typo_is_refused(
        self, gates: str, hint: str, job: Path, evaluate: Callable[..., Result]
    ) -> None:
        result = evaluate(job, truth_of(TRUE), "--fail-under", gates, "--json")
        assert result.code == 2 and hint in result.json["error"]["message"]
        assert len(result.err.splitlines()) == 1


class TestBadInput:
    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ("{", "no JSON"),
            ("[]", "no images, annotations and categories"),
            ('{"images": []}', "KeyError: 'annotations'"),
            (json.dumps(truth_of({})), "names no image"),
            (json.dumps(truth_of({"x.png": []})), "those of the job a/1.png"),
            (json.dumps(truth_of(TRUE) | {"categories": []}), "class 1, which has no name"),
            (json.dumps(truth_of(TRUE, ["cat", "car"])).replace('"car"', '"x"'), "no class is in"),
            (json.dumps(truth_of(TRUE)).replace('"category_id": 1, ', ""), "has no class"),
            (
                json.dumps(truth_of(TRUE)).replace('"bbox"', '"caption"'),
                "annotation 1: it has no 'bbox'",
            ),
            ('{"images": [{"id": 1}, {"id": 1}], "annotations": []}', "two images have the id 1"),
            (json.dumps(truth_of({"1.png": [("car", (5, 5, 1, 9))]})), "ends before it begins"),
            ("[" * 100_000, "within each other"),
        ],
    )
    def test_a_file_that_is_no_ground_truth(
        self, content: str, said: str, job: Path, evaluate: Callable[..., Result]
    ) -> None:
        result = evaluate(job, content, "--json")
        assert result.code == 2, result.out
        assert said in result.json["error"]["message"]
        assert len(result.err.splitlines()) == 1

    def test_folders_that_are_none(
        self, job: Path, tmp_path: Path, evaluate: Callable[..., Result]
    ) -> None:
        folder = tmp_path / "labelled"
        folder.mkdir()
        assert "holds neither labels/ nor XML files" in evaluate(job, folder).err
        (folder / "labels").mkdir()
        assert "no data.yaml beside it" in evaluate(job, folder).err
        (folder / "data.yaml").write_text("nc: 2")
        assert "has no names" in evaluate(job, folder).err
        (folder / "data.yaml").write_text("names: [car]")
        assert "names no image" in evaluate(job, folder).err
        (folder / "labels" / "1.txt").write_text("0 0.5 0.5 2 0.1")
        assert "1.txt" in evaluate(job, folder).err
        os.mkfifo(tmp_path / "fifo")
        signal.alarm(30)
        result = evaluate(job, tmp_path / "fifo")
        assert result.code == 2 and "it is a fifo" in result.err
        assert evaluate(job, tmp_path / "missing").code == 2

    def test_a_folder_without_a_job_and_a_job_without_boxes(
        self, tmp_path: Path, evaluate: Callable[..., Result]
    ) -> None:
        result = evaluate(tmp_path, truth_of(TRUE), "--json")
        assert result.code == 1 and result.json["error"]["kind"] == "job"
        out = answered_job(tmp_path / "texts", "<CAPTION>", "a red square")
        result = evaluate(out, truth_of({"1.png": []}))
        assert result.code == 2 and "holds no boxes" in result.err

    def test_what_is_odd_is_told_and_counts_as_it_stands(
        self, job: Path, evaluate: Callable[..., Result]
    ) -> None:
        truth = truth_of({**TRUE, "b/2.png": [("car", (-50, 10, 500, 40)), ("car", (9, 9, 9, 9))]})
        truth["images"][0] |= {"width": 80, "height": 100}
        result = evaluate(job, truth)
        assert result.code == 0
        notes = " ".join(result.out.split())
        assert "1 true box is partly outside the image" in notes
        assert "1 true box is without area" in notes
        assert "of another size in the ground truth" in notes

    def test_names_from_elsewhere_are_text(
        self, job: Path, evaluate: Callable[..., Result]
    ) -> None:
        true = {**TRUE, "\x1b[2J\n.jpg": [], "[red]x": [("[bold]", SEDAN)]}
        result = evaluate(job, truth_of(true, ["car", "[bold]", "\x1b[31mcat"]))
        assert result.code == 0
        assert "\x1b" not in result.out and r"'\x1b[2J\n.jpg'" in result.out
        assert "[red]x" in result.out and "[bold]" in result.out

    def test_options_that_make_no_sense(self, job: Path) -> None:
        result = command("eval", job)
        assert result.code == 2 and "add --ground-truth FILE|FOLDER" in result.err
        result = command("eval", job, "--ground-truth", job, "--iou", "mask")
        assert result.code == 2 and "write bbox, for boxes, or segm" in result.err


def test_a_half_written_dataset_is_told(job: Path, evaluate: Callable[..., Result]) -> None:
    assert command("export", job).code == 0
    connection = sqlite3.connect(job / "job.db")
    connection.execute("UPDATE exports SET is_finished = 0")
    connection.commit()
    connection.close()
    assert "half-written" in evaluate(job, truth_of(TRUE)).out


def test_a_job_that_was_never_exported_and_one_that_goes_on(
    scenes: Path, tmp_path: Path, evaluate: Callable[..., Result]
) -> None:
    out = tmp_path / "out"
    assert annotate(scenes, out, "--limit", 5, "-q", "--classes", "star,cross").code == 0
    lacking = tmp_path / "moved"
    lacking.mkdir()
    shutil.copy(out / "job.db", lacking)
    for folder in (out, lacking):
        found = evaluate(folder, scenes / "ground-truth.json", "--json").json
        assert found["images"] == 5 and len(found["only_in_ground_truth"]) == 15
        assert list(found["classes"]) == ["star", "cross"]
