"""Average precision of answers whose quality is known."""

import copy
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from florence_annotate.errors import FlorenceAnnotateError
from florence_annotate.evaluation.average_precision import main, score
from florence_annotate.shapes.demo import Demo, write_demo


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return write_demo(tmp_path_factory.mktemp("demo"), count=8)


@pytest.fixture
def perfect(demo: Demo) -> dict[str, Any]:
    """The ground truth, as a dataset would say it: other ids, a folder before the names."""
    truth: dict[str, Any] = json.loads(demo.ground_truth.read_text())
    answer = copy.deepcopy(truth)
    for image in answer["images"]:
        image["id"] += 100
        image["file_name"] = f"train/{image['file_name']}"
    for category in answer["categories"]:
        category["id"] += 10
    for annotation in answer["annotations"]:
        annotation["image_id"] += 100
        annotation["category_id"] += 10
        annotation["score"] = 0.9
        del annotation["colour"]
    return answer


def write(dataset: Path, **splits: dict[str, Any]) -> Path:
    (dataset / "annotations").mkdir(parents=True)
    for name, split in splits.items():
        (dataset / "annotations" / f"instances_{name}.json").write_text(json.dumps(split))
    return dataset


def test_a_perfect_answer(demo: Demo, perfect: dict[str, Any], tmp_path: Path) -> None:
    result = score(write(tmp_path, train=perfect), demo.ground_truth)
    assert result == {
        "ap50": 1.0,
        "ap": 1.0,
        "images": 8,
        "true": demo.objects,
        "found": demo.objects,
    }


def test_splits_are_read_together(demo: Demo, perfect: dict[str, Any], tmp_path: Path) -> None:
    train, val = copy.deepcopy(perfect), copy.deepcopy(perfect)
    train["images"], val["images"] = perfect["images"][:5], perfect["images"][5:]
    # ids start again in each split, so the images of the two share them.
    shift = val["images"][0]["id"] - train["images"][0]["id"]
    val["images"] = [image | {"id": image["id"] - shift} for image in val["images"]]
    ids = {image["id"] for image in train["images"]}
    train["annotations"] = [a for a in perfect["annotations"] if a["image_id"] in ids]
    val["annotations"] = [
        a | {"image_id": a["image_id"] - shift}
        for a in perfect["annotations"]
        if a["image_id"] not in ids
    ]
    result = score(write(tmp_path, train=train, val=val), demo.ground_truth)
    assert result["ap50"] == result["ap"] == 1.0


def test_missing_boxes_cost(demo: Demo, perfect: dict[str, Any], tmp_path: Path) -> None:
    perfect["annotations"] = perfect["annotations"][::2]
    result = score(write(tmp_path, train=perfect), demo.ground_truth)
    assert 0.2 < result["ap50"] < 0.8


def test_shifted_boxes_cost_at_high_overlap(
    demo: Demo, perfect: dict[str, Any], tmp_path: Path
) -> None:
    for annotation in perfect["annotations"]:
        annotation["bbox"][0] += 0.15 * annotation["bbox"][2]
    result = score(write(tmp_path, train=perfect), demo.ground_truth)
    assert result["ap50"] == 1.0
    assert result["ap"] < 0.7


def test_the_order_of_scores_counts(demo: Demo, perfect: dict[str, Any], tmp_path: Path) -> None:
    wrong = copy.deepcopy(perfect["annotations"])
    for number, annotation in enumerate(wrong, 10_000):
        annotation["id"] = number
        annotation["bbox"] = [0.0, 0.0, 2.0, 2.0]
        annotation["score"] = 0.1
    low, high = copy.deepcopy(perfect), copy.deepcopy(perfect)
    low["annotations"] = perfect["annotations"] + wrong
    high["annotations"] = perfect["annotations"] + [a | {"score": 0.95} for a in wrong]
    good = score(write(tmp_path / "low", train=low), demo.ground_truth)
    bad = score(write(tmp_path / "high", train=high), demo.ground_truth)
    assert good["ap50"] == 1.0
    assert bad["ap50"] < 0.7


def test_by_colour_and_shape(demo: Demo, tmp_path: Path) -> None:
    truth = json.loads(demo.ground_truth.read_text())
    shapes = {category["id"]: category["name"] for category in truth["categories"]}
    phrases = [f"{a['colour']} {shapes[a['category_id']]}" for a in truth["annotations"]]
    # the pair that is never there must not count: it has no true box.
    names = [*sorted(set(phrases)), "purple blob"]
    truth["categories"] = [{"id": n, "name": name} for n, name in enumerate(names, 1)]
    for annotation, phrase in zip(truth["annotations"], phrases, strict=True):
        annotation["category_id"] = names.index(phrase) + 1
        annotation["score"] = 0.5
    result = score(write(tmp_path, all=truth), demo.ground_truth, "colour-shape")
    assert result["ap50"] == result["ap"] == 1.0
    assert score(tmp_path, demo.ground_truth, "shape")["ap50"] == 0.0


def test_the_command(
    demo: Demo, perfect: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = str(write(tmp_path / "set", train=perfect))
    assert main([dataset, str(demo.ground_truth)]) == 0
    assert capsys.readouterr().out.startswith("AP50 1.000   AP 1.000\n")
    assert main([dataset, str(demo.ground_truth), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ap50"] == 1.0
    assert main([str(tmp_path), str(demo.ground_truth)]) == 1
    assert "export it as coco" in capsys.readouterr().err


def test_a_ground_truth_that_cannot_be_read_is_refused_in_one_line(
    perfect: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = str(write(tmp_path / "set", train=perfect))
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "deep").write_text("[" * 100_000)
    signal.alarm(20)
    for name in ("fifo", "deep", "missing"):
        assert main([dataset, str(tmp_path / name)]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"error: can't read {tmp_path / name}: it ")


def test_a_foreign_image_is_refused(demo: Demo, perfect: dict[str, Any], tmp_path: Path) -> None:
    perfect["images"][0]["file_name"] = "holiday.jpg"
    with pytest.raises(FlorenceAnnotateError, match=r"holiday\.jpg"):
        score(write(tmp_path, train=perfect), demo.ground_truth)
