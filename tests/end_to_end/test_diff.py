"""`diff`: what changed between two datasets."""

import json
import shutil
from pathlib import Path

import pytest
from conftest import command, tree
from written_answers import answer, attempt, picture, say, written_job

from florence_annotate.journal import Journal
from florence_annotate.tasks import CAPTION
from florence_annotate.types import Question

CAR, DOG = ("car", 100, 125, 500, 500), ("dog", 600, 600, 900, 900)
SURE, UNSURE = [-0.1] * 5, [-2.0] * 5


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Two jobs about images of which one left, one came and one was renamed."""
    before = written_job(
        tmp_path / "a",
        {
            "b.png": [answer(*CAR, *DOG)],
            "c.png": [answer(*CAR, *DOG, logprobs=[*SURE, *SURE])],
            "gone.png": [answer(*CAR)],
            "old.png": [answer(*DOG)],
            "same.png": [answer(*CAR)],
        },
    )
    after = tmp_path / "b" / "out"
    said = {
        "b.png": [answer("car", 110, 125, 500, 500, "cat", *DOG[1:])],
        "c.png": [answer(*CAR, "dog", 0, 0, 90, 90, logprobs=[*UNSURE, *SURE])],
        "d.png": [answer(*CAR, *DOG)],
        "new.png": [answer(*DOG, *CAR)],
        "same.png": [answer(*CAR)],
    }
    written_job(tmp_path / "b", said)
    # what was old.png is new.png by now; all others are other images than those before
    shutil.copy(tmp_path / "a/in/old.png", tmp_path / "b/in/new.png")
    picture(tmp_path / "b/in/d.png", (300, 200))
    with Journal.open_to_write(after) as journal:
        attempt(journal, tmp_path / "b", said)
    return before, after


def test_every_kind_of_change_is_counted(pair: tuple[Path, Path]) -> None:
    result = command("diff", *pair, "--json")
    assert result.code == 0, result.err
    found = result.json
    assert found["images"] == {
        "before": 5,
        "after": 5,
        "added": ["d.png"],
        "removed": ["gone.png"],
        "renamed": [{"before": "old.png", "after": "new.png"}],
        "with_other_texts": 0,
    }
    assert found["instances"] == {
        "before": 7,
        "after": 9,
        "on_added_images": 2,
        "added": 2,
        "removed": 2,
        "relabelled": 1,
        "moved": 1,
        "rescored": 1,
    }
    assert (found["changed_instances"], found["changed_share"]) == (7, 1.0)
    assert found["classes"]["dog"] == {
        "before": 3,
        "after": 3,
        "added": 1,
        "removed": 1,
        "relabelled": 1,
        "moved": 0,
        "rescored": 0,
    }
    assert found["relabelled"] == [{"before": "dog", "after": "cat", "instances": 1}]
    assert [one["key"] for one in found["changed_images"]] == [
        *("c.png", "b.png", "gone.png", "old.png"),
    ]
    shown = command("diff", *pair).out
    assert "images 5 → 5: 1 added, 1 removed, 4 changed" in shown
    assert "relabelled: dog → cat ×1" in shown and "renamed, with equal bytes: old.png" in shown


def test_the_way_back_adds_what_was_removed(pair: tuple[Path, Path]) -> None:
    found = command("diff", *reversed(pair), "--json").json
    assert found["images"]["renamed"] == [{"before": "new.png", "after": "old.png"}]
    assert (found["images"]["added"], found["images"]["removed"]) == (["gone.png"], ["d.png"])
    assert found["instances"]["removed"] == 4 and found["instances"]["on_added_images"] == 1


def test_more_changes_than_may_be_give_exit_code_3(pair: tuple[Path, Path]) -> None:
    result = command("diff", *pair, "--max-changed", "99%", "--json")
    line = "--max-changed 99% is missed: 7 of 7 instances changed"
    assert (result.code, result.err.strip(), result.json["missed_gates"]) == (3, line, [line])
    assert command("diff", *pair, "--max-changed", "100%").code == 0
    assert command("diff", pair[0], pair[0], "--max-changed", "0%").code == 0
    result = command("diff", *pair, "--max-changed", "0.5")
    assert result.code == 2 and "write a share from 0% to 100%, as in 90%" in result.err


def test_an_earlier_export_and_what_the_dataset_is_now(tmp_path: Path) -> None:
    said = {"a.png": [answer(*CAR, *DOG, logprobs=[*SURE, *UNSURE])], "b.png": []}
    out = written_job(tmp_path, said)
    result = command("diff", out)
    assert result.code == 2 and "no earlier export" in result.err
    assert command("export", out).code == 0
    assert command("diff", out).code == 2

    policy = (out / "policy.yaml").read_text()
    assert "min_score: 0.0" in policy
    (out / "policy.yaml").write_text(policy.replace("min_score: 0.0", "min_score: 0.5"))
    assert command("diff", out, "--json").json["instances"]["removed"] == 1  # before it is exported
    assert command("export", out).code == 0
    before = tree(out)
    found = command("diff", out, "--json").json
    assert (found["before"], found["after"]) == (f"{out}, export 1", str(out))
    assert found["classes"]["dog"]["removed"] == 1
    assert found["instances"] == {
        "before": 2,
        "after": 1,
        "on_added_images": 0,
        "added": 0,
        "removed": 1,
        "relabelled": 0,
        "moved": 0,
        "rescored": 0,
    }
    assert tree(out) == before


def test_answers_that_came_after_an_export(tmp_path: Path) -> None:
    said = {"a.png": [answer(*CAR)]}
    out = written_job(tmp_path, said)
    assert command("export", out).code == 0
    say(out, answer(*CAR, *DOG))
    picture(tmp_path / "in" / "z.png")
    with Journal.open_to_write(out) as journal:
        again = {"a.png": [answer(*CAR, *DOG)], "z.png": [answer(*CAR)]}
        attempt(journal, tmp_path, again)
    found = command("diff", out, "--json").json
    assert found["images"]["added"] == ["z.png"]
    assert (found["instances"]["added"], found["instances"]["on_added_images"]) == (1, 1)


def test_a_folder_that_was_exported_to(tmp_path: Path) -> None:
    out = written_job(tmp_path, {"a.png": [answer(*CAR, *DOG, logprobs=[*SURE, *UNSURE])]})
    other = tmp_path / "strict"
    assert command("export", out, "-o", other, "--min-score", 0.5).code == 0
    assert command("diff", out, other, "--json").json["instances"]["removed"] == 1
    assert command("diff", other, out, "--json").json["instances"]["added"] == 1
    stranger = written_job(tmp_path / "s", {"a.png": []})
    result = command("diff", stranger, other)
    assert result.code == 1 and f"was not exported from the one in {stranger}" in result.err
    result = command("diff", out, tmp_path)
    assert result.code == 1 and "holds no job and no dataset that was exported" in result.err
    result = command("diff", tmp_path, tmp_path, "--json")
    assert result.code == 1 and json.loads(result.out)["error"]["kind"] == "job"


def test_other_texts_are_told(tmp_path: Path) -> None:
    ask = (Question(CAPTION),)
    first = written_job(tmp_path / "a", {"1.png": [answer("a car", task=CAPTION)]}, ask)
    second = written_job(tmp_path / "b", {"1.png": [answer("a dog", task=CAPTION)]}, ask)
    found = command("diff", first, second, "--json").json
    assert found["images"]["with_other_texts"] == 1 and found["changed_share"] is None
    assert "images with other texts: 1" in command("diff", first, second).out
