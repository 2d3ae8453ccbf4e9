"""Shards merged: the job of one run."""

import os
import shutil
from pathlib import Path

import pytest
from conftest import annotate, command, rows, tree
from older_schemas import rewrite
from sharded_jobs import annotate_shards, is_same_job, settled_in, snapshot
from written_answers import picture


def test_a_merged_job_is_that_of_one_run(shards: list[Path], whole: Path, tmp_path: Path) -> None:
    done = command("merge", *shards[::-1], "-o", tmp_path / "out")
    assert done.code == 0, done.err
    is_same_job(tmp_path / "out", whole)
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
    is_same_job(tmp_path / "out", one)


def test_a_source_that_is_split_by_folders_is_so_when_it_is_merged(tmp_path: Path) -> None:
    source = tmp_path / "in"
    for number in range(6):
        picture(source / ("val" if number == 5 else "train") / f"{number}.png", (90 + number, 80))
    outs = annotate_shards(source, tmp_path, count=4)
    assert command("merge", *outs, "-o", tmp_path / "out", "-q").code == 0
    assert annotate(source, tmp_path / "whole", "-q").code == 0
    is_same_job(tmp_path / "out", tmp_path / "whole")
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
