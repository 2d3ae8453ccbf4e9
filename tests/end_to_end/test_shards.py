"""A job as an array of shards, and what becomes of them when they are merged."""

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from multiprocessing.context import ForkServerContext
from pathlib import Path

import children
import pytest
import yaml
from conftest import annotate, command, rows, scores, tree
from older_schemas import forget_spreads, rewrite
from PIL import Image
from written_answers import answer, picture, say

from florence_annotate.journal import Journal, lock
from florence_annotate.journal.merging import Merging
from florence_annotate.types import Failure

ROOT = Path(__file__).parents[2]
COUNT = 3


def annotate_shards(source: Path, outs: Path, *options: object, count: int = COUNT) -> list[Path]:
    """The outputs of all shards of a source."""
    found = []
    for index in range(1, count + 1):
        found.append(outs / f"shard-{index}")
        done = annotate(source, found[-1], "--shard", f"{index}/{count}", "-q", *options)
        assert done.code == 0, done.err
    return found


@pytest.fixture(scope="module")
def shards(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Those of the twenty scenes. Not to be written to."""
    return annotate_shards(scenes, tmp_path_factory.mktemp("shards"))


@pytest.fixture(scope="module")
def whole(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset of one run over them. Not to be written to."""
    out = tmp_path_factory.mktemp("whole") / "images-dataset"
    assert annotate(scenes, out, "-q").code == 0
    return out


@pytest.fixture
def copied(shards: list[Path], tmp_path: Path) -> list[Path]:
    """The same, to be written to."""
    return [shutil.copytree(shard, tmp_path / shard.name) for shard in shards]


def settled_in(out: Path) -> list[tuple[str, int, str, str]]:
    """Key, number, split and name of every image of a dataset."""
    with Journal.open_existing(out) as journal:
        return [(key, *assigned) for key, assigned in journal.exports.assignments.each()]


def is_same_dataset(out: Path, expected: Path) -> None:
    found, wanted = tree(out, without_scores=True), tree(expected, without_scores=True)
    assert found == wanted
    assert scores(out) == pytest.approx(scores(expected), abs=0.001)
    assert settled_in(out) == settled_in(expected)


def snapshot(folder: Path) -> dict[str, tuple[int, str]]:
    """Every file of a folder, by time and content; and the folder itself, by time."""
    found = {
        path.name: (path.stat().st_mtime_ns, sha256(path.read_bytes()).hexdigest())
        for path in folder.iterdir()
    }
    return found | {".": (folder.stat().st_mtime_ns, "")}


# a shard


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


# a merge


def test_a_merged_job_is_that_of_one_run(shards: list[Path], whole: Path, tmp_path: Path) -> None:
    done = command("merge", *shards[::-1], "-o", tmp_path / "out")
    assert done.code == 0, done.err
    is_same_dataset(tmp_path / "out", whole)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        path.name for path in whole.iterdir()
    }
    policies = [(out / "policy.yaml").read_text() for out in (tmp_path / "out", whole)]
    one, other = (
        [line for line in text.splitlines() if "target:" not in line] for text in policies
    )
    assert one == other
    status = command("status", tmp_path / "out", "--json").json
    assert (status["state"], status["shard"], status["annotated"]) == ("ended", None, 20)


@pytest.mark.parametrize(
    "options",
    [
        ("--recipe", "instance-segmentation", "--format", "yolo-seg,coco"),
        ("--task", "caption,detection", "--tiles", "2x1"),
    ],
)
def test_masks_captions_and_tiles_are_those_of_one_run(
    scenes: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    outs = annotate_shards(scenes, tmp_path, *options, "--limit", 3, count=2)
    assert command("merge", *outs, "-o", tmp_path / "out", "-q").code == 0
    chosen = ",".join(key for key, *_ in settled_in(tmp_path / "out"))
    assert len(chosen.split(",")) == 6
    one = tmp_path / "one"
    assert annotate(scenes, one, *options, "--include", chosen, "-q").code == 0
    is_same_dataset(tmp_path / "out", one)


def test_a_source_that_is_split_by_folders_is_so_when_it_is_merged(tmp_path: Path) -> None:
    source = tmp_path / "in"
    for number in range(6):
        picture(source / ("val" if number == 5 else "train") / f"{number}.png", (90 + number, 80))
    outs = annotate_shards(source, tmp_path, count=4)
    assert command("merge", *outs, "-o", tmp_path / "out", "-q").code == 0
    assert annotate(source, tmp_path / "whole", "-q").code == 0
    is_same_dataset(tmp_path / "out", tmp_path / "whole")
    assert {split for _, _, split, _ in settled_in(tmp_path / "out")} == {"train", "val"}


def test_several_sources_keep_their_keys(tmp_path: Path) -> None:
    outs = [tmp_path / "1", tmp_path / "2"]
    for name in ("a", "b"):
        for number in range(4):
            picture(tmp_path / name / f"{number}.png", (90 + number, len(name) * 80))
    sources = (tmp_path / "a", tmp_path / "b")
    for index, out in enumerate(outs, start=1):
        options = ("-o", out, "--model", "shapes", "--workers", 0, "-q")
        assert command("run", *sources, "--shard", f"{index}/2", *options).code == 0
    assert command("merge", *outs, "-o", tmp_path / "out", "-q").code == 0
    keys = [key for key, *_ in settled_in(tmp_path / "out")]
    assert keys == [f"{name}/{number}.png" for name in "ab" for number in range(4)]
    picture(tmp_path / "b" / "new.png", (50, 50))
    resumed = command("resume", tmp_path / "out", "--json")
    assert (resumed.code, resumed.json["run"]["annotated"]) == (0, 1), resumed.err


def test_a_merge_changes_nothing_that_it_reads(copied: list[Path], tmp_path: Path) -> None:
    for out in copied:
        for path in out.iterdir():
            path.chmod(0o444)
        out.chmod(0o555)
    before = [snapshot(out) for out in copied]
    assert command("merge", *copied, "-o", tmp_path / "out", "-q").code == 0
    assert [snapshot(out) for out in copied] == before
    for out in copied:
        out.chmod(0o755)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nobody else to be on Windows")
def test_a_merge_reads_folders_that_it_may_not_write(shards: list[Path]) -> None:
    """As nobody, since root may write everywhere."""
    folder = Path("/tmp") / f"shards-{os.getpid()}"
    folder.mkdir()
    try:
        outs = [shutil.copytree(shard, folder / shard.name) for shard in shards]
        folder.chmod(0o777)
        child = os.fork()
        if child == 0:
            try:
                if os.geteuid() == 0:
                    os.setgid(65534)
                    os.setuid(65534)
                options = ("--images", "none", "-q")
                os._exit(command("merge", *outs, "-o", folder / "out", *options).code)
            finally:
                os._exit(99)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert len(settled_in(folder / "out")) == 20
    finally:
        shutil.rmtree(folder)


def test_jobs_of_older_schemas_are_merged_and_stay_as_they_are(
    copied: list[Path], whole: Path, tmp_path: Path
) -> None:
    for out in copied:
        rewrite(out / "job.db", 2)
    before = [snapshot(out) for out in copied]
    done = command("merge", *copied, "-o", tmp_path / "out", "-q")
    assert done.code == 0, done.err
    assert [snapshot(out) for out in copied] == before
    found, wanted = (tree(out, without_scores=True) for out in (tmp_path / "out", whole))
    assert found == wanted


def test_a_merged_job_is_a_job_as_any_other(scenes: Path, tmp_path: Path) -> None:
    source = tmp_path / "in"
    shutil.copytree(scenes, source)
    outs = annotate_shards(source, tmp_path, "--images", "hardlink")
    out = tmp_path / "out"
    assert command("merge", *outs, "-o", out, "-q").code == 0
    before = settled_in(out)
    for each in outs:
        shutil.rmtree(each)

    picture(source / "zz.png")
    resumed = command("resume", out, "--json")
    assert resumed.code == 0 and resumed.json["run"]["annotated"] == 1, resumed.err
    after = settled_in(out)
    assert after[: len(before)] == before and after[-1][:2] == ("zz.png", 21)

    exported = command("export", out, "--min-score", "0.5", "--add-format", "jsonl")
    assert "min_score 0.0 → 0.5" in exported.err
    assert len(rows(out)) == 21
    last = sorted(source.glob("*.jpg"))[0]
    last.unlink()  # the dataset's own file is the last copy now
    assert command("resume", out, "-q").code == 0
    assert list((out / "orphans").rglob("*.jpg"))
    assert command("explain", out, "zz.png").code == 0
    assert annotate(source, out, "--restart", "--allow-missing", "-q").code == 0
    done = command("merge", tmp_path / "shard-1", "-o", out)
    assert done.code == 1 and "holds a job that was not merged" in done.err


# merged again


def test_merged_again_a_job_takes_over_what_its_parts_have_got(
    scenes: Path, tmp_path: Path
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    shutil.copytree(scenes, source)
    images = sorted(source.glob("*.jpg"))
    broken, gone, changed = images[3], images[4], images[5]
    content = broken.read_bytes()
    broken.write_bytes(content[:500])
    outs = annotate_shards(source, tmp_path)
    assert command("merge", *outs, "-o", out, "-q").code == 3
    before = {key: settled for key, *settled in settled_in(out)}
    assert broken.name not in before
    assert command("merge", *outs, "-o", out, "-q").code == 3  # nothing is new
    assert {key: settled for key, *settled in settled_in(out)} == before

    broken.write_bytes(content)
    gone.unlink()
    Image.new("RGB", (64, 64), "white").save(changed)
    picture(source / "aa.png")
    for index, shard in enumerate(outs, start=1):
        options = ("--shard", f"{index}/3", "--retry-failed", "-q")
        assert annotate(source, shard, *options).code == 0
    done = command("merge", *outs, "-o", out, "--format", "yolo,coco,jsonl")
    assert done.code == 0, done.err
    assert (
        "1 annotated image leaves the dataset: none of the merged jobs has it any more" in done.err
    )
    after = {key: settled for key, *settled in settled_in(out)}
    assert {key: after[key] for key in before} == before
    assert sorted(after[key][0] for key in after.keys() - before.keys()) == [20, 21]
    found = {row["image"]["key"] if "image" in row else row["key"]: row for row in rows(out)}
    assert gone.name not in found and {broken.name, "aa.png"} <= found.keys()
    counts = command("status", out, "--json").json
    assert (counts["images"], counts["annotated"], counts["failed"]) == (20, 20, 0)


def test_more_parts_may_join_and_none_may_be_forgotten(shards: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = command("merge", *shards[:2], "-o", out)
    assert done.code == 1 and "of 3 shards 1 is not named: 3/3." in done.err
    assert not out.exists()
    assert command("merge", *shards[:2], "-o", out, "--allow-missing", "-q").code == 0
    before = settled_in(out)
    assert command("merge", *shards, "-o", out, "-q").code == 0
    after = settled_in(out)
    assert len(after) == 20 and set(before) < set(after)
    done = command("merge", shards[2], "-o", out)
    assert done.code == 1 and f"{out} was merged of {shards[0]} too" in done.err
    assert command("merge", shards[2], "-o", out, "--allow-missing", "-q").code == 0
    assert settled_in(out) == after
    assert command("status", out, "--json").json["images"] == 20


def test_a_merged_job_that_chose_its_images_by_itself_keeps_them(
    scenes: Path, tmp_path: Path
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    shutil.copytree(scenes, source)
    outs = annotate_shards(source, tmp_path)
    assert command("merge", *outs, "-o", out, "-q").code == 0
    left = sorted(source.glob("*.jpg"))[0]
    assert annotate(source, out, "--exclude", left.name, "-q").code == 0
    for _ in range(2):
        assert command("merge", *outs, "-o", out, "-q").code == 0
        assert command("status", out, "--json").json["images"] == 19


# two journals about one image


@pytest.fixture
def twice(scenes: Path, tmp_path: Path) -> tuple[Path, Path, Path]:
    """A source of three images, and two jobs about it that say different things."""
    source = tmp_path / "in"
    source.mkdir()
    for path in sorted(scenes.glob("*.jpg"))[:3]:
        shutil.copy(path, source)
    outs = tmp_path / "one", tmp_path / "other"
    for out, label in zip(outs, ("first", "second"), strict=True):
        assert annotate(source, out, "-q").code == 0
        say(out, answer(label, 100, 100, 500, 500))
    return source, *outs


def labels_in(out: Path) -> dict[str, list[str]]:
    assert command("export", out, "--format", "jsonl", "-q").code == 0
    return {
        row["key"]: sorted(instance["label"] for instance in row["instances"]) for row in rows(out)
    }


def test_of_the_same_bytes_the_first_named_journal_counts(
    twice: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    _, one, other = twice
    assert command("merge", one, other, "-o", tmp_path / "a", "-q").code == 0
    assert set(map(tuple, labels_in(tmp_path / "a").values())) == {("first",)}
    assert command("merge", other, one, "-o", tmp_path / "b", "-q").code == 0
    assert set(map(tuple, labels_in(tmp_path / "b").values())) == {("second",)}


@pytest.mark.parametrize("is_first", [True, False])
def test_of_other_bytes_those_of_the_file_count(
    twice: tuple[Path, Path, Path], tmp_path: Path, is_first: bool
) -> None:
    source, one, other = twice
    changed = sorted(source.glob("*.jpg"))[1]
    Image.new("RGB", (64, 64), "white").save(changed)
    assert annotate(source, other, "-q").code == 0
    outs = (one, other) if is_first else (other, one)
    done = command("merge", *outs, "-o", tmp_path / "out", "--json")
    assert done.code == 0 and done.json["run"]["undecided"] == []
    with Journal.open_existing(tmp_path / "out") as journal:
        record = journal.record_of(changed.name)
    assert record is not None and (record.width, record.height) == (64, 64)


def test_of_other_bytes_of_which_the_file_has_none_the_first_stays_and_is_told(
    twice: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    source, one, other = twice
    changed = sorted(source.glob("*.jpg"))[1]
    Image.new("RGB", (64, 64), "white").save(changed)
    assert annotate(source, other, "-q").code == 0
    Image.new("RGB", (32, 32), "white").save(changed)
    done = command("merge", other, one, "-o", tmp_path / "out", "--json")
    assert done.json["run"]["undecided"] == [changed.name]
    assert "1 image was annotated with other bytes than in a journal before" in done.err
    assert changed.name in done.err
    with Journal.open_existing(tmp_path / "out") as journal:
        record = journal.record_of(changed.name)
    assert record is not None and (record.width, record.height) == (64, 64)


@pytest.mark.parametrize("is_first", [True, False])
def test_an_image_that_one_journal_failed_at_and_the_other_has_is_annotated(
    twice: tuple[Path, Path, Path], tmp_path: Path, is_first: bool
) -> None:
    _, one, other = twice
    with Journal.open_to_write(one) as journal:
        ref = next(journal.annotated())
        journal.append(1, [Failure(ref, "read", "missing", "for a moment")])
    outs = (one, other) if is_first else (other, one)
    done = command("merge", *outs, "-o", tmp_path / "out", "--json")
    assert done.code == 0 and done.json["failures"] == []
    assert labels_in(tmp_path / "out")[ref.key] == ["second"]


def test_texts_of_an_images_own_that_differ_are_refused_by_name(tmp_path: Path) -> None:
    source, outs = tmp_path / "in", [tmp_path / "one", tmp_path / "other"]
    for number in range(3):
        picture(source / f"{number}.png")
        (source / f"{number}.txt").write_text("a red star")
    options = ("--task", "open-vocabulary", "--texts", "sidecar", "-q")
    assert annotate(source, outs[0], *options).code == 0
    assert command("merge", outs[0], "-o", tmp_path / "same", "-q").code == 0
    (source / "1.txt").write_text("a blue cross")
    assert annotate(source, outs[1], *options).code == 0
    done = command("merge", *outs, "-o", tmp_path / "out")
    assert done.code == 1 and f"{outs[1]} asked" in done.err
    assert "a blue cross" in done.err and "a red star" in done.err and "1.png" in done.err
    refused = annotate(source, tmp_path / "out", *options)
    assert refused.code == 1 and "give the same 'merge' again, or remove the folder" in refused.err
    assert "give the same 'merge' again" in command("status", tmp_path / "out").err
    assert command("merge", outs[0], "-o", tmp_path / "out", "-q").code == 0  # of others: anew
    assert not (tmp_path / "out" / ".merging").exists()


# what can't be merged


def test_jobs_that_were_not_asked_alike_are_refused_by_name(
    shards: list[Path], scenes: Path, tmp_path: Path
) -> None:
    for number, (options, said) in enumerate(
        [
            (("--max-new-tokens", 64), "max_new_tokens"),
            (("--task", "caption"), "questions"),
            (("--dtype", "bfloat16"), "dtype"),
            (("--pixels", "fast"), "pixels"),
            (("--tiles", "2x1"), "tiles"),
        ]
    ):
        other = tmp_path / str(number)
        assert annotate(scenes, other, "--shard", "3/3", "--limit", 1, "-q", *options).code == 0
        done = command("merge", *shards[:2], other, "-o", tmp_path / "out")
        assert done.code == 1
        assert f"{shards[0]} was begun with {said} = " in done.err and str(other) in done.err
        assert "can't be merged" in done.err
        assert not (tmp_path / "out").exists()


def test_another_definition_of_the_score_is_refused_by_name(
    copied: list[Path], tmp_path: Path
) -> None:
    forget_spreads(copied[2] / "job.db")
    done = command("merge", *copied, "-o", tmp_path / "out")
    assert done.code == 1 and "the definition of the score" in done.err
    assert str(copied[0]) in done.err and str(copied[2]) in done.err


def test_answers_that_another_version_decoded_otherwise_are_refused_by_name(
    copied: list[Path], tmp_path: Path
) -> None:
    with Journal.open_to_write(copied[1]) as journal:
        journal.set_value("decoded_otherwise", 1)
    done = command("merge", *copied, "-o", tmp_path / "out")
    assert done.code == 1 and f"images of {copied[1]} were asked by an earlier version" in done.err


def test_policies_that_differ_are_refused_until_one_is_named(
    copied: list[Path], scenes: Path, tmp_path: Path
) -> None:
    assert annotate(scenes, copied[1], "--shard", "2/3", "--min-score", "0.6", "-q").code == 0
    refused = command("merge", *copied, "-o", tmp_path / "out")
    assert refused.code == 2
    assert (
        f"the policies of {copied[0]} and {copied[1]} differ (min_score 0.0 → 0.6)" in refused.err
    )
    assert not (tmp_path / "out").exists()

    def merged(*options: object) -> str:
        out = tmp_path / f"out-{len(list(tmp_path.iterdir()))}"
        done = command("merge", *copied, "-o", out, "-q", *options)
        assert done.code == 0, done.err
        again = command("merge", *copied, "-o", out, "-q", *options)  # the same command goes on
        assert again.code == 0, again.err
        (line,) = (
            line
            for line in (out / "policy.yaml").read_text().splitlines()
            if line.startswith("min_score")
        )
        return line

    assert merged("--policy", copied[1]) == "min_score: 0.6"
    assert merged("--policy", copied[0]) == "min_score: 0.0"
    assert merged("--min-score", "0.3") == "min_score: 0.3"
    (tmp_path / "own.yaml").write_text("min_score: 0.2\n")
    assert merged("--policy", tmp_path / "own.yaml") == "min_score: 0.2"
    done = command("merge", *copied, "-o", tmp_path / "x", "--policy", tmp_path / "nothing")
    assert done.code == 2 and "there is no file or folder" in done.err


def test_a_policy_that_was_settled_stays(copied: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert command("merge", *copied, "-o", out, "-q").code == 0
    (tmp_path / "own.yaml").write_text("min_score: 0.2\n")
    done = command("merge", *copied, "-o", out, "--policy", tmp_path / "own.yaml")
    assert done.code == 2
    assert f"{out} has a policy of its own by now (min_score 0.0 → 0.2)" in done.err


def test_sources_that_would_share_keys_are_refused_by_name(scenes: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        picture(tmp_path / name / "1.png", (50 + ord(name), 60))
        assert annotate(tmp_path / name, tmp_path / f"{name}-out", "-q").code == 0
    done = command("merge", tmp_path / "a-out", tmp_path / "b-out", "-o", tmp_path / "out")
    assert done.code == 1
    assert f"{tmp_path / 'a-out'} counts its images from {tmp_path / 'a'}" in done.err
    assert f"{tmp_path / 'b-out'} from {tmp_path / 'b'}" in done.err
    both = ("run", tmp_path / "a", tmp_path / "b", "-o", tmp_path / "both", "--model", "shapes")
    assert command(*both, "--workers", 0, "-q").code == 0
    done = command("merge", tmp_path / "a-out", tmp_path / "both", "-o", tmp_path / "out")
    assert done.code == 1 and "keys that begin with ''" in done.err and "'a/'" in done.err


def test_shards_of_a_source_that_lay_elsewhere_are_merged_where_it_is(
    scenes: Path, whole: Path, tmp_path: Path
) -> None:
    """Each task of an array may have mounted it where it liked."""
    outs = []
    for index in (1, 2, 3):
        shutil.copytree(scenes, tmp_path / str(index) / "scenes")
        outs.append(tmp_path / f"out-{index}")
        source = tmp_path / str(index) / "scenes"
        assert annotate(source, outs[-1], "--shard", f"{index}/3", "-q").code == 0
    done = command("merge", *outs, "-o", tmp_path / "out")
    assert done.code == 1 and "one key would stand for two images" in done.err
    shutil.rmtree(tmp_path / "1")
    shutil.rmtree(tmp_path / "3")
    done = command("merge", *outs, "-o", tmp_path / "out", "-q")
    assert done.code == 0, done.err
    is_same_dataset(tmp_path / "out", whole)
    resumed = command("resume", tmp_path / "out", "--json")
    assert (resumed.code, resumed.json["run"]["annotated"]) == (0, 0), resumed.err

    shutil.move(tmp_path / "2" / "scenes", tmp_path / "here")  # none of them had it there
    done = command("merge", *outs, "-o", tmp_path / "nowhere")
    assert done.code == 1 and "run the job on their new folder" in done.err
    assert annotate(tmp_path / "here", tmp_path / "nowhere", "-q").code == 0
    is_same_dataset(tmp_path / "nowhere", whole)
    again = command("merge", *outs, "-o", tmp_path / "nowhere", "-q")  # a part of it, moved since
    assert again.code == 0, again.err
    is_same_dataset(tmp_path / "nowhere", whole)


def test_a_shard_that_is_annotated_now_is_not_merged(copied: list[Path], tmp_path: Path) -> None:
    with lock.held(copied[1]):
        done = command("merge", *copied, "-o", tmp_path / "out", "--json")
    assert done.code == 1 and done.json["error"]["kind"] == "locked"
    assert f"{copied[1]} is being written by process {os.getpid()}" in done.err
    (tmp_path / "out").mkdir()
    with lock.held(tmp_path / "out"):
        done = command("merge", *copied, "-o", tmp_path / "out", "--json")
    assert done.json["error"]["kind"] == "locked"


def test_a_shard_that_was_killed_as_it_wrote_is_put_in_order_first(
    copied: list[Path], tmp_path: Path
) -> None:
    connection = sqlite3.connect(copied[1] / "job.db", isolation_level=None)
    connection.execute("PRAGMA cache_size=2")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE answers SET data = zeroblob(2000)")  # more than is cached
    torn = shutil.copytree(copied[1], tmp_path / "torn")
    connection.close()
    assert (torn / "job.db-journal").stat().st_size
    before = snapshot(torn)
    outs = (copied[0], torn, copied[2])
    done = command("merge", *outs, "-o", tmp_path / "out")
    assert done.code == 1 and f"'florence-annotate status {torn}' puts it in order" in done.err
    assert snapshot(torn) == before
    assert command("status", torn).code == 0
    assert command("merge", *outs, "-o", tmp_path / "out", "-q").code == 0


def test_a_journal_that_readers_would_write_beside_is_refused(
    copied: list[Path], tmp_path: Path
) -> None:
    connection = sqlite3.connect(copied[1] / "job.db")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
    before = snapshot(copied[1])
    done = command("merge", *copied, "-o", tmp_path / "out")
    assert done.code == 1 and "switched by another program" in done.err
    assert snapshot(copied[1]) == before


def spoil(statement: str) -> Callable[[Path], None]:
    def spoil(out: Path) -> None:
        connection = sqlite3.connect(out / "job.db")
        connection.execute(statement)
        connection.commit()
        connection.close()

    return spoil


@pytest.mark.parametrize(
    "spoil",
    [
        spoil("UPDATE answers SET kinds = x'07'"),
        spoil("UPDATE images SET key = x'00' WHERE id = 1"),
        spoil("UPDATE job SET value = '[1]' WHERE name = 'shard'"),
        spoil("UPDATE job SET value = '7' WHERE name = 'asked'"),
        spoil("UPDATE runs SET report = '{\"skipped\": 1}'"),
        lambda out: (out / "job.db").write_bytes(b"SQLite format 3\0" + bytes(range(256))),
    ],
)
def test_a_damaged_journal_is_named(
    copied: list[Path], tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(copied[1])
    done = command("merge", *copied, "-o", tmp_path / "out")
    assert done.code == 1 and str(copied[1] / "job.db") in done.err, done.err
    assert len(done.err.splitlines()) <= 3 and "Traceback" not in done.err


def test_outputs_that_can_not_be_are_refused(
    copied: list[Path], whole: Path, tmp_path: Path
) -> None:
    for out, said in (
        (copied[0], "are one folder or lie in each other"),
        (copied[0] / "within", "are one folder or lie in each other"),
        (tmp_path, "are one folder or lie in each other"),
    ):
        done = command("merge", *copied, "-o", out)
        assert done.code == 2 and said in done.err
    own = shutil.copytree(whole, tmp_path / "own")
    done = command("merge", *copied, "-o", own)
    assert done.code == 1 and f"{own} holds a job that was not merged" in done.err
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    done = command("merge", *copied, "-o", tmp_path / "full")
    assert done.code == 2 and "holds other files and no job" in done.err
    done = command("merge", *copied, tmp_path / "nothing", "-o", tmp_path / "out")
    assert done.code == 1 and f"{tmp_path / 'nothing'} holds no job" in done.err
    assert not (tmp_path / "out").exists()
    assert command("merge", *copied).code == 2


def test_a_merge_that_is_interrupted_says_how_to_go_on(
    copied: list[Path], whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = 0

    def stop(*_: object) -> None:
        nonlocal taken
        taken += 1
        if taken == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Merging, "take", stop)
        done = command("merge", *copied, "-o", tmp_path / "out", "--json")
    assert done.code == 130 and done.err.endswith("stopped at once; the same command goes on\n")
    assert done.json["error"]["kind"] == "interrupted"
    assert command("merge", *copied, "-o", tmp_path / "out", "-q").code == 0
    is_same_dataset(tmp_path / "out", whole)


def test_a_disk_that_is_full_is_told_and_loses_nothing(
    copied: list[Path], whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = Journal.create

    def create(folder: Path) -> Journal:
        journal = created(folder)
        (pages,) = journal.connection.execute("PRAGMA page_count").fetchone()
        journal.connection.execute(f"PRAGMA max_page_count={pages + 3}")
        return journal

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "create", create)
        done = command("merge", *copied, "-o", tmp_path / "out", "--json")
    assert done.code == 1 and "database or disk is full" in done.err
    assert command("merge", *copied, "-o", tmp_path / "out", "-q").code == 0
    is_same_dataset(tmp_path / "out", whole)


def test_a_link_in_the_place_of_what_is_written_is_not_followed(
    copied: list[Path], tmp_path: Path
) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    for folder in (out, elsewhere):
        folder.mkdir()
    (elsewhere / "letter.txt").write_text("dear")
    (out / ".merging").symlink_to(elsewhere)
    done = command("merge", *copied, "-o", out)
    assert done.code == 1 and "can't write" in done.err
    assert [path.name for path in elsewhere.iterdir()] == ["letter.txt"]


# killed


@pytest.fixture(scope="module")
def warm() -> ForkServerContext:
    return children.warm()


def merge_killed_in(warm: ForkServerContext, transaction: int, outs: list[Path], out: Path) -> bool:
    """Whether a merge was killed so; else it came to its end before."""
    child = children.start_dying(warm, transaction, "merge", *outs, "-o", out, "-q")
    child.join()
    assert child.exitcode in (0, -signal.SIGKILL)
    return child.exitcode != 0


def test_a_merge_killed_in_each_of_its_transactions_ends_as_if_it_never_was(
    shards: list[Path], whole: Path, warm: ForkServerContext, tmp_path: Path
) -> None:
    """Killed in its first one, begun again and killed in its second one, and so on to the end."""
    out, kills = tmp_path / "out", 0
    before = [snapshot(shard) for shard in shards]
    while merge_killed_in(warm, kills + 1, shards, out):
        kills += 1
        assert kills < 100
    assert kills >= 10
    is_same_dataset(out, whole)
    assert not [path.name for path in out.iterdir() if path.name.startswith((".", "job.lock"))]
    assert [snapshot(shard) for shard in shards] == before
    connection = sqlite3.connect(out / "job.db")
    assert connection.execute("SELECT count(*) FROM attempts").fetchone() == (20,)


@pytest.mark.parametrize("transaction", [9, 15, 21])
def test_after_a_kill_other_jobs_may_be_merged_there(
    shards: list[Path], warm: ForkServerContext, tmp_path: Path, transaction: int
) -> None:
    out = tmp_path / "out"
    assert merge_killed_in(warm, transaction, shards, out)
    assert (out / ".merging").is_dir() and not (out / "job.db").exists()
    assert "give the same 'merge' again" in command("export", out).err
    reversed_ = shards[:0:-1]
    assert command("merge", *reversed_, "-o", out, "--allow-missing", "-q").code == 0
    assert command("status", out, "--json").json["images"] == len(settled_in(out)) < 20


def test_merged_again_and_killed_a_job_is_one_all_the_time(
    scenes: Path, warm: ForkServerContext, tmp_path: Path
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    shutil.copytree(scenes, source)
    outs = annotate_shards(source, tmp_path)
    assert command("merge", *outs, "-o", out, "-q").code == 0
    before = settled_in(out)
    for number in range(6):
        picture(source / f"new-{number}.png", (50 + number, 50))
    gone = sorted(source.glob("*.jpg"))[7]
    gone.unlink()
    annotate_shards(source, tmp_path)
    kills, told = 0, []
    while merge_killed_in(warm, kills + 1, outs, out):
        kills += 1
        assert kills < 100
        assert command("status", out, "--json").json["annotated"] >= 19
        told.append(re.findall("^go on .*", command("status", out).out, re.M))
    assert ["go on      give the 'merge' again that began it"] in told
    assert kills >= 10
    after = settled_in(out)
    assert [row for row in after if row in before] == before
    assert [row[1] for row in after if row not in before] == [21, 22, 23, 24, 25, 26]
    assert not list((out / "labels").rglob(f"{gone.stem}.txt"))
    assert command("status", out, "--json").json["images"] == 25


# the page


DOC = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")


def block(name: str) -> str:
    """The code of the page behind a line that names a file or a folder, and ends there."""
    found = re.search(rf"`{re.escape(name)}`[^\n`]*:\n\n```\w+\n(.*?)^```", DOC, re.M | re.S)
    assert found, name
    return found[1]


class Cluster:
    """A folder in which the page's scripts run as tasks of an array, one after the other; each ends
    with one command, which runs in this process."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._given = folder / ".given"
        program = folder / ".bin" / "florence-annotate"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nprintf "%s\\0" "$@" > {self._given}\n')
        program.chmod(0o755)
        path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
        self._environment = os.environ | {"PATH": path, "MODEL": "shapes"}
        monkeypatch.chdir(folder)

    def run(self, script: str, **environment: str) -> None:
        environment = self._environment | environment
        subprocess.run(["bash", "--norc", "-e", "-c", script], env=environment, check=True)
        done = command(*self._given.read_text().split("\0")[:-1])
        assert done.code == 0, done.err


@pytest.fixture
def cluster(scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    shutil.copytree(scenes, tmp_path / "images")
    return Cluster(tmp_path, monkeypatch)


def test_the_scripts_for_slurm_are_scripts_and_make_the_dataset_of_one_run(
    cluster: Cluster, whole: Path
) -> None:
    array, merge = block("annotate.sbatch"), block("merge.sbatch")
    for script in (array, merge):
        assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0
        assert script.startswith("#!/bin/bash\n#SBATCH ")
    span = re.search(r"^#SBATCH --array=1-(\d+)$", array, re.M)
    assert span is not None
    assert re.search(r"^SHARDS=(\d+)$", array, re.M)[1] == span[1]
    for task in range(1, int(span[1]) + 1):
        cluster.run(array, SLURM_ARRAY_TASK_ID=str(task))
    cluster.run(merge)
    is_same_dataset(cluster.folder / "images-dataset", whole)


def test_the_manifest_for_kubernetes_is_one_and_makes_the_dataset_of_one_run(
    cluster: Cluster, whole: Path
) -> None:
    (job,) = yaml.safe_load_all(block("annotate.yaml"))
    spec = job["spec"]
    assert (job["kind"], job["apiVersion"]) == ("Job", "batch/v1")
    assert spec["completionMode"] == "Indexed" and spec["parallelism"] <= spec["completions"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts.keys() == {volume["name"] for volume in pod["volumes"]}
    (shell, flag, script) = container["command"]
    assert (shell, flag) == ("/bin/bash", "-c")
    given = {each["name"]: each["value"] for each in container["env"]}
    assert given.pop("SHARDS") == str(spec["completions"])
    script = script.replace(mounts["data"], str(cluster.folder))
    for task in range(spec["completions"]):
        cluster.run(script, JOB_COMPLETION_INDEX=str(task), SHARDS=str(spec["completions"]))
    merge = f"florence-annotate merge {cluster.folder}/images-dataset-*-of-{spec['completions']} "
    cluster.run(f"{merge} -o {cluster.folder}/images-dataset")
    is_same_dataset(cluster.folder / "images-dataset", whole)


@pytest.mark.slow
def test_a_newcomer_runs_what_the_page_shows(tmp_path: Path) -> None:
    """The commands of its first part, as they stand there, in an empty folder."""
    program = tmp_path / "bin" / "florence-annotate"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m florence_annotate "$@"\n')
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)}
    script = ["bash", "--norc", "-e", "-c", block("street")]
    subprocess.run(script, cwd=tmp_path, env=environment, check=True, timeout=300)
    assert len(settled_in(tmp_path / "street-dataset")) == 40
