"""`stats`: how what a job holds is spread, and what other thresholds would keep."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import command
from PIL import Image
from written_answers import answer, written_job

from florence_annotate.journal import Journal
from florence_annotate.tasks import CAPTION, OD, OPEN_VOCABULARY
from florence_annotate.types import Answer, Failure, Question


def said(*found: tuple[str, tuple[int, ...], float], task: str = OD) -> Answer:
    """Labels with boxes and scores."""
    tokens = [token for label, box, _ in found for token in (label, *box)]
    logprobs = [math.log(score) for _, _, score in found for _ in range(5)]
    return answer(*tokens, task=task, logprobs=logprobs)


SAID = {
    "a.png": [said(("car", (100, 100, 500, 500), 0.95), ("sedan", (600, 0, 700, 900), 0.45))],
    "b.png": [said(("car", (0, 0, 999, 999), 0.65), ("sedan", (0, 0, 99, 99), 0.05))],
    "c.png": [answer()],
    "d.png": [replace(answer("tree", 1, 2), truncated=True)],
}


def stats(out: Path, *options: object) -> Any:
    result = command("stats", out, *options, "--json")
    assert result.code == 0, result.err
    return result.json


def test_everything_is_counted(tmp_path: Path) -> None:
    out = written_job(tmp_path, SAID, min_score=0.1)
    found = stats(out)
    assert (found["instances"], found["classes"]) == (3, {"car": 2, "sedan": 1})
    assert found["dropped"] == {"min-score": 1, "torn-box": 1}
    assert [one["kept"] for one in found["scores"]] == [0, 0, 0, 0, 1, 0, 1, 0, 0, 1]
    assert [one["dropped"] for one in found["scores"]] == [1, *[0] * 9]
    assert found["boxes_an_image"] == {"0": 2, "1": 1, "2": 1}
    assert found["sizes"] == {"small": 1, "medium": 2, "large": 0}
    assert found["width_by_height"]["boxes"] == [1, 0, 2, 0, 0]
    assert found["part_of_image"]["quantiles"]["0.5"] == pytest.approx(0.16, abs=1e-3)
    images = found["images"]
    assert images["empty"] == {"count": 2, "first": ["c.png", "d.png"]}
    assert images["truncated"] == {"count": 1, "first": ["d.png"]}
    text = command("stats", out).out
    assert "4 of 4 images annotated, 3 instances kept, 2 left out" in text
    assert "\x1b" not in text and all(len(line) <= 80 for line in text.splitlines())


def test_labels_of_no_class_come_with_the_class_that_is_near(tmp_path: Path) -> None:
    out = written_job(tmp_path, SAID, classes="automobile")
    unmapped = {
        one["label"]: (one["count"], one["nearest"]) for one in stats(out)["unmapped_labels"]
    }
    assert unmapped == {"car": (2, "automobile"), "sedan": (2, "automobile")}
    assert "sedan → automobile?" in command("stats", out).out


def test_failed_and_pending_images_are_counted(tmp_path: Path) -> None:
    out = written_job(tmp_path, SAID)
    with Journal.open_to_write(out) as journal:
        refs = list(journal.selection.refs())
        journal.append(1, [Failure(refs[0], "decode", "corrupt", "broken")])
    images = stats(out)["images"]
    assert images["failed"] == {"count": 1, "first": ["a.png"], "by_kind": {"corrupt": 1}}
    assert "failed (1 corrupt)" in command("stats", out).out


def kept_by_export(out: Path, *options: object) -> tuple[int, int]:
    """Boxes, and images with a label."""
    summary = command("export", out, *options, "--labelled-only", "--json").json
    return summary["instances"], len(SAID_OF[out]) - summary["images_without_labels"]


SAID_OF: dict[Path, Sequence[str]] = {}
HULL = [
    ("car", (100, 100, 500, 500), 0.95),
    ("car", (100, 100, 250, 500), 0.8),
    ("car", (350, 100, 500, 500), 0.4),
]


@pytest.mark.parametrize(
    ("settings", "asked"),
    [
        ({}, OD),
        ({"min_score": 0.4}, OD),
        ({"nms": 0.3, "min_area": 100}, OD),
        ({"classes": {"car": {"min_score": 0.2}, "sedan": None}}, OD),
        ({"drop_containers": True}, OD),
        ({"classes": "car"}, OPEN_VOCABULARY),
    ],
)
def test_thresholds_keep_what_an_export_with_them_keeps(
    settings: dict[str, Any], asked: str, tmp_path: Path
) -> None:
    text = "car" if asked == OPEN_VOCABULARY else None
    overlapping = ("car", (100, 100, 490, 500), 0.5)

    def about(one: Answer) -> Answer:
        return replace(one, question=Question(asked, text))

    answers = {
        **{key: [about(one) for one in each] for key, each in SAID.items()},
        "e.png": [about(said(*HULL))],
        "f.png": [about(said(HULL[0], overlapping, HULL[0]))],
        "g.png": [about(said(HULL[0])), answer("a street", task=CAPTION)],
        "h.png": [about(answer()), answer("a street", task=CAPTION)],
    }
    out = written_job(
        *(tmp_path, answers, [Question(asked, text), Question(CAPTION)]),
        **settings,
        formats="jsonl",
        images="none",
    )
    SAID_OF[out] = list(answers)
    found = stats(out)["thresholds"]
    assert [one["min_score"] for one in found] == [0.1, 0.3, 0.5, 0.7, 0.9]
    for one in found:
        kept = kept_by_export(out, "--min-score", one["min_score"])
        assert (one["boxes"], one["images_labelled"]) == kept, one


def test_images_that_look_nearly_the_same_are_grouped(scenes: Path, tmp_path: Path) -> None:
    said_of = {f"{name}.png": [answer()] for name in ("one", "same", "small", "other", "broken")}
    out = written_job(tmp_path, said_of)
    first, other = (Image.open(scenes / f"scene-300000{n}.jpg") for n in (0, 1))
    first.save(tmp_path / "in" / "one.png")
    first.save(tmp_path / "in" / "same.png")
    first.resize((first.width // 2, first.height // 2)).save(tmp_path / "in" / "small.png")
    other.save(tmp_path / "in" / "other.png")
    (tmp_path / "in" / "broken.png").write_bytes(b"no image")
    same = stats(out, "--near-identical")["near_identical"]
    assert same["groups"] == [["one.png", "same.png", "small.png"]]
    assert list(same["unread"]) == ["broken.png"]
    assert "3  one.png, same.png, small.png" in command("stats", out, "--near-identical").out
    assert "near_identical" not in stats(out)


def test_only_hashes_that_differ_in_few_bits_are_linked() -> None:
    from florence_annotate.reports.near_identical import MOST_DIFFERENT, _linked

    def flipped(*bits: int) -> bytes:
        return (sum(1 << bit for bit in bits)).to_bytes(16, "big")

    spread = range(0, 128, 19)
    near, far = flipped(*list(spread)[:MOST_DIFFERENT]), flipped(*spread)
    assert sorted(_linked([flipped(), near])) == [[0, 1]]
    assert sorted(_linked([flipped(), far])) == [[0], [1]]
    assert sorted(_linked([flipped(), far, near])) == [[0, 1, 2]]  # near is linked to both
    assert list(_linked([])) == []
