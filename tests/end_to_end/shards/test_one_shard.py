"""A job that is one part of an array."""

import shutil
from pathlib import Path

import pytest
from conftest import annotate, command
from sharded_jobs import annotate_shards, settled_in, snapshot
from written_answers import picture

from florence_annotate.journal import Journal


def test_a_shard_settles_and_exports_nothing(shards: list[Path], scenes: Path) -> None:
    names = {path.name for shard in shards for path in shard.iterdir()}
    assert names == {"job.db", "summary.json"}
    keys = []
    for shard in shards:
        with Journal.open_existing(shard) as journal:
            assert journal.exports.policy_of_files() is None
            assert journal.exports.assignments.last_number() == 0
            keys += list(journal.annotated_keys())
    assert sorted(keys) == sorted(path.name for path in scenes.glob("*.jpg"))


def test_a_shard_says_so_and_how_it_becomes_a_dataset(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(scenes, tmp_path / "street")
    monkeypatch.chdir(tmp_path)
    done = command("run", "street", "--model", "shapes", "--workers", 0, "--shard", "02/3")
    assert done.code == 0, done.err
    assert "images of shard 2/3 annotated" in done.out
    merge = f"florence-annotate merge {tmp_path}/street-dataset-*-of-3 -o {tmp_path}/street-dataset"
    assert f"once all 3 are done: {merge}" in done.out
    out = tmp_path / "street-dataset-2-of-3"
    assert (
        f"shard      2/3, of which no dataset is written\nmerge      once all are done: {merge}"
        in (command("status", out).out)
    )
    status = command("status", out, "--json").json
    assert (status["shard"], status["state"], status["go_on"]) == ("2/3", "ended", None)
    refused = command("export", out, "--format", "yolo")
    assert refused.code == 1 and f"{out} is shard 2/3 of a job" in refused.err
    assert merge in refused.err


@pytest.mark.parametrize("given", [("--shard", "3/3"), ("--shard", "2/4"), ()])
def test_another_shard_or_none_on_its_output_is_refused(
    copied: list[Path], scenes: Path, given: tuple[str, ...]
) -> None:
    before = snapshot(copied[1])
    done = annotate(scenes, copied[1], *given)
    now = f"--shard {given[1]} is given" if given else "none is given"
    assert done.code == 1
    assert f"{copied[1]} was begun with --shard 2/3, and now {now}: give --shard 2/3" in done.err
    assert snapshot(copied[1]) == before
    assert annotate(scenes, copied[1], "--restart", "-q", *given).code == 0


def test_a_job_that_is_no_shard_becomes_none(whole: Path, scenes: Path, tmp_path: Path) -> None:
    out = shutil.copytree(whole, tmp_path / "out")
    done = annotate(scenes, out, "--shard", "1/3")
    assert done.code == 1 and "was begun without --shard, and now --shard 1/3 is given" in done.err
    done = annotate(scenes, out, "--shard", "1/3", "--restart")
    assert done.code == 1 and "holds a dataset, and a shard writes none" in done.err


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "x/4"])
def test_what_is_no_shard_is_refused_by_its_flag(scenes: Path, tmp_path: Path, text: str) -> None:
    done = annotate(scenes, tmp_path / "out", "--shard", text)
    assert (done.code, done.err) == (
        2,
        f"error: --shard: {text!r} won't do: write the part and how many there are, as in 1/8 to "
        "8/8\n",
    )


def test_a_gate_is_for_the_merge_and_refused(scenes: Path, tmp_path: Path) -> None:
    done = annotate(scenes, tmp_path / "out", "--shard", "1/3", "--min-labelled", "50%")
    assert done.code == 2
    assert "--min-labelled: a shard writes no dataset that could miss it" in done.err
    assert not (tmp_path / "out").exists()


def test_a_shard_is_not_uploaded(scenes: Path, tmp_path: Path) -> None:
    options = ("--shard", "1/3", "--push-to-hub", "me/x", "--format", "parquet")
    done = annotate(scenes, tmp_path / "out", *options)
    assert done.code == 2 and "--push-to-hub: a shard writes no dataset" in done.err


def test_a_shard_goes_on_with_its_own_images_alone(copied: list[Path], scenes: Path) -> None:
    with Journal.open_to_write(copied[0]) as journal:
        keys = sorted(journal.annotated_keys())
        for table in ("answers", "attempts"):
            journal.connection.execute(f"DELETE FROM {table}")
        journal.connection.commit()
    done = command("resume", copied[0], "--json")
    assert done.code == 0, done.err
    assert done.json["images"] == {
        "images": len(keys), "annotated": len(keys), "failed": 0, "beyond_limit": 0, "pending": 0,
    }  # fmt: skip
    with Journal.open_existing(copied[0]) as journal:
        assert sorted(journal.annotated_keys()) == keys


def test_a_shard_is_looked_into_as_any_job(shards: list[Path], scenes: Path) -> None:
    with Journal.open_existing(shards[0]) as journal:
        keys = sorted(journal.annotated_keys())
    counted = command("stats", shards[0], "--json")
    assert counted.code == 0 and counted.json["images"]["annotated"] == len(keys)
    assert command("explain", shards[0], keys[0]).code == 0
    assert command("failures", shards[0], "--json").json == []
    truth = scenes / "ground-truth.json"
    assert command("eval", shards[0], "--ground-truth", truth, "--json").code == 0
    foreseen = annotate(scenes, shards[0], "--shard", "1/3", "--dry-run", "--json")
    assert (foreseen.json["images"], foreseen.json["pending"]) == (len(keys), 0)


def test_failures_of_a_shard_are_judged_with_those_of_all(tmp_path: Path) -> None:
    """A job array ends as it should, and the merge has the exit code of a run."""
    source = tmp_path / "in"
    for number in range(6):
        picture(source / f"{number}.png")
    (source / "broken.png").write_bytes(b"no image")
    outs = annotate_shards(source, tmp_path, count=2)
    told = [command("failures", out, "--json").json for out in outs]
    assert [each["key"] for some in told for each in some] == ["broken.png"]
    done = command("merge", *outs, "-o", tmp_path / "out", "--json")
    assert done.code == 3
    assert "--max-failures 0 is missed: 1 of 7 images failed" in done.err
    assert [each["key"] for each in done.json["failures"]] == ["broken.png"]
    assert command("merge", *outs, "-o", tmp_path / "out", "--max-failures", 1, "-q").code == 0


def test_a_shard_without_images_is_no_mistake(tmp_path: Path) -> None:
    source = tmp_path / "in"
    for number in range(2):
        picture(source / f"{number}.png")
    outs = annotate_shards(source, tmp_path, count=5)
    assert command("merge", *outs, "-o", tmp_path / "out", "-q").code == 0
    assert len(settled_in(tmp_path / "out")) == 2
    (tmp_path / "empty").mkdir()
    done = annotate(tmp_path / "empty", tmp_path / "none", "--shard", "1/5")
    assert done.code == 1 and "no image found" in done.err


def test_what_is_given_for_all_images_is_held_to_all_images(tmp_path: Path) -> None:
    """Texts and lists of splits name images of other shards too."""
    source = tmp_path / "in"
    for number in range(8):
        picture(source / f"{number}.png")
    table = "".join(f"{number}.png,a red star\n" for number in range(8))
    (tmp_path / "texts.csv").write_text(f"image,text\n{table}")
    (tmp_path / "val.txt").write_text("3.png\n")
    options = ("--task", "open-vocabulary", "--texts", tmp_path / "texts.csv")
    options += ("--split-file", f"val={tmp_path / 'val.txt'}")
    outs = []
    for index in (1, 2, 3, 4):
        outs.append(tmp_path / f"{index}")
        done = annotate(source, outs[-1], "--shard", f"{index}/4", *options)
        assert done.code == 0 and "fit no image" not in done.err, done.err
    assert command("merge", *outs, "-o", tmp_path / "out", "-q").code == 0
    splits = {key: split for key, _, split, _ in settled_in(tmp_path / "out")}
    assert splits == {f"{n}.png": "val" if n == 3 else "train" for n in range(8)}
