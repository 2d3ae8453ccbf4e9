"""A merge that is stopped, killed or out of disk loses nothing; the same command goes on."""

import re
import shutil
import signal
import sqlite3
from multiprocessing.context import ForkServerContext
from pathlib import Path

import children
import pytest
from conftest import command
from sharded_jobs import annotate_shards, is_same_job, settled_in, snapshot
from written_answers import picture

from florence_annotate.journal import Journal
from florence_annotate.journal.merging import Merging


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
    is_same_job(tmp_path / "out", whole)


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
    is_same_job(tmp_path / "out", whole)


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
    is_same_job(out, whole)
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


def test_a_merge_that_was_killed_before_its_dataset_was_whole_goes_on_by_an_export(
    copied: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert command("merge", *copied, "-o", out, "-q").code == 0
    with Journal.open_to_write(out) as journal:
        journal.set_value("unwritten_run", journal.runs.last())
    go_on = command("status", out, "--json").json["go_on"]
    assert go_on == f"florence-annotate export {out}"
    assert command("export", out, "-q").code == 0
    assert command("status", out, "--json").json["go_on"] is None


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
