"""What becomes of a dataset where its sources change: nothing leaves it without a word."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Result, annotate, command, rows, tree
from written_answers import select

from florence_annotate.cli.progress import ScreenReporter
from florence_annotate.config import job_spec
from florence_annotate.errors import JobError
from florence_annotate.images.codec import SUFFIXES
from florence_annotate.images.sources import Sources
from florence_annotate.jobs.binding import Binding
from florence_annotate.jobs.job import Job
from florence_annotate.journal import Journal

JSONL = ("--format", "jsonl")


def lay(scenes: Path, folder: Path, *names: str, first: int = 0) -> Path:
    """Images of these names, each another one, from the `first` on."""
    painted = sorted(scenes.glob("*.jpg"))[first:]
    for name, image in zip(names, painted, strict=False):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(image, folder / name)
    return folder


def keys(out: Path) -> list[str]:
    return [row["key"] for row in rows(out)]


def left(result: Result) -> dict[str, int]:
    return {why: each["count"] for why, each in result.json["left_dataset"].items()}


@pytest.fixture
def source(scenes: Path, tmp_path: Path) -> Path:
    return lay(scenes, tmp_path / "in", "1.jpg", "2.jpg", "disk/day/3.jpg", "disk/day/4.jpg")


@pytest.fixture
def out(source: Path, tmp_path: Path) -> Path:
    """A finished job of the source."""
    result = annotate(source, tmp_path / "out", *JSONL)
    assert result.code == 0, result.err
    return tmp_path / "out"


def test_deleted_and_excluded_images_leave_with_a_word(source: Path, out: Path) -> None:
    (source / "1.jpg").unlink()
    options = (*JSONL, "--exclude", "3.jpg")
    planned = annotate(source, out, *options, "--dry-run", "--json")
    assert left(planned) == {"gone": 1, "excluded": 1}
    assert "2 annotated images leave" in annotate(source, out, *options, "--dry-run").out
    result = annotate(source, out, *options)
    assert result.code == 0
    expected = "2 annotated images leave the dataset: 1 deleted or moved (1.jpg); 1 left out by"
    assert expected in result.err
    assert expected in result.out
    summary = json.loads((out / "summary.json").read_text())
    assert summary["left_dataset"] == {
        "gone": {"count": 1, "examples": ["1.jpg"]},
        "excluded": {"count": 1, "examples": ["disk/day/3.jpg"]},
    }
    assert keys(out) == ["2.jpg", "disk/day/4.jpg"]
    assert left(annotate(source, out, *options, "--json")) == {}


def test_what_left_is_told_by_its_run_and_by_no_later_export(source: Path, out: Path) -> None:
    (source / "1.jpg").unlink()
    words = "1 annotated image leaves the dataset"
    assert words in annotate(source, out, *JSONL).out
    later = command("export", out, "--min-area", 5)
    assert words not in later.out + later.err
    assert "1.jpg" not in keys(out)


def test_what_left_with_a_killed_run_and_an_export_has_left(
    source: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (source / "1.jpg").unlink()

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    def select_and_die() -> Result:
        with monkeypatch.context() as patched:
            patched.setattr(Binding, "go_on", die)  # the images are selected by then
            return annotate(source, out, *JSONL)

    words = "1 annotated image leaves the dataset"
    assert words in select_and_die().err
    assert command("export", out, "-o", out.with_name("lent")).code == 0
    assert words in select_and_die().err  # its own dataset holds the image still
    assert command("export", out).code == 0
    assert "1.jpg" not in keys(out)
    assert words not in annotate(source, out, *JSONL).err


def unmount(source: Path) -> None:
    shutil.rmtree(source)
    source.mkdir()


def unmount_below(source: Path) -> None:
    unmount(source / "disk")


def leave_a_hidden_file(source: Path) -> None:
    unmount(source / "disk")
    (source / "disk" / ".DS_Store").touch()


def remove(source: Path) -> None:
    shutil.rmtree(source)


def dangle(source: Path) -> None:
    shutil.rmtree(source)
    source.symlink_to("nowhere")


def dangle_below(source: Path) -> None:
    shutil.rmtree(source / "disk")
    (source / "disk").symlink_to("nowhere")


def put_a_file(source: Path) -> None:
    shutil.rmtree(source)
    source.touch()


def put_a_file_below(source: Path) -> None:
    put_a_file(source / "disk")


def link_to_itself(source: Path) -> None:
    shutil.rmtree(source)
    source.symlink_to(source.name)


def link_to_itself_below(source: Path) -> None:
    link_to_itself(source / "disk")


@pytest.mark.parametrize(
    ("fail", "words", "count"),
    [
        (put_a_file, "in' is a file now", 4),
        (put_a_file_below, "in/disk' is a file now", 2),
        (link_to_itself, "in' is a link that leads nowhere", 4),
        (link_to_itself_below, "in/disk' is a link that leads nowhere", 2),
        (unmount, "in' is empty", 4),
        (unmount_below, "in/disk' is empty", 2),
        (leave_a_hidden_file, "in/disk' is empty", 2),
        (remove, "in' is not there", 4),
        (dangle, "in' is a link that leads nowhere", 4),
        (dangle_below, "in/disk' is a link that leads nowhere", 2),
    ],
)
def test_a_folder_that_failed_is_refused_before_anything_changes(
    source: Path, out: Path, fail: Callable[[Path], None], words: str, count: int
) -> None:
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    fail(source)
    for result in (
        annotate(source, out, *JSONL),
        annotate(source, out, *JSONL, "--dry-run"),
        command("resume", out),
    ):
        assert result.code == 1
        line = result.err.splitlines()[-1]
        assert words in line
        assert f"{count} annotated images" in line
        advice = "without it no image would be left" if count == 4 else "--allow-missing"
        assert advice in line
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("command_line", "code"), [("run loop -o new", 1), ("run in -o loop", 2), ("export loop", 1)]
)
def test_a_link_to_itself_is_refused(
    source: Path, command_line: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(source.parent)
    Path("loop").symlink_to("loop")
    name, *rest = command_line.split()
    refused = command(name, *rest, *(("--model", "shapes") if name == "run" else ()))
    assert (refused.code, "loop" in refused.err) == (code, True)


def test_an_export_to_a_link_to_itself_is_refused(out: Path) -> None:
    loop = out.with_name("loop")
    loop.symlink_to("loop")
    refused = command("export", out, "-o", loop)
    assert (refused.code, "loop" in refused.err) == (1, True)


def test_what_failed_leaves_only_where_that_is_allowed(source: Path, out: Path) -> None:
    unmount_below(source)
    assert annotate(source, out, *JSONL).code == 1
    planned = annotate(source, out, *JSONL, "--dry-run", "--allow-missing", "--json")
    assert left(planned) == {"empty": 2}
    result = command("resume", out, "--allow-missing", "--json")
    assert result.code == 0, result.err
    assert left(result) == {"empty": 2}
    assert keys(out) == ["1.jpg", "2.jpg"]


def test_a_restart_is_refused_as_any_run_where_a_folder_failed(
    scenes: Path, tmp_path: Path
) -> None:
    a, b = lay(scenes, tmp_path / "a", "1.jpg"), lay(scenes, tmp_path / "b", "1.jpg", first=1)
    out = tmp_path / "out"
    again = ("run", a, b, "-o", out, "--model", "shapes", "--workers", 0, *JSONL, "--restart")
    assert command(*again).code == 0  # where there is no job yet, nothing can leave
    unmount(b)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    for refused in (command(*again), command(*again, "--dry-run")):
        assert refused.code == 1
        assert "b' is empty, and 1 annotated image of the dataset" in refused.err
        assert "--allow-missing" in refused.err
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert left(command(*again, "--allow-missing", "--dry-run", "--json")) == {"empty": 1}
    result = command(*again, "--allow-missing")
    words = "1 annotated image leaves the dataset: 1 in a folder that is empty (b/1.jpg)"
    assert (result.code, words in result.err, words in result.out) == (0, True, True)
    assert keys(out) == ["a/1.jpg"]


def test_a_restart_says_which_images_leave_by_it(source: Path, out: Path) -> None:
    (source / "1.jpg").unlink()
    planned = annotate(source, out, *JSONL, "--restart", "--dry-run", "--json")
    assert left(planned) == {"gone": 1}
    result = annotate(source, out, *JSONL, "--restart", "--json")
    assert (result.code, result.json["run"]["annotated"]) == (0, 3)
    assert left(result) == {"gone": 1}
    assert "1 annotated image leaves the dataset: 1 deleted or moved (1.jpg)" in result.err


def test_one_of_two_sources_that_is_gone_is_refused_and_may_be_left_out(
    scenes: Path, tmp_path: Path
) -> None:
    a, b = lay(scenes, tmp_path / "a", "1.jpg"), lay(scenes, tmp_path / "b", "1.jpg", first=1)
    out = tmp_path / "out"
    assert command("run", a, b, "-o", out, "--model", "shapes", "--workers", 0, *JSONL).code == 0
    shutil.rmtree(b)
    both = ("run", a, b, "-o", out, "--model", "shapes", "--workers", 0, *JSONL)
    refused = command(*both)
    assert refused.code == 1
    assert "b' is not there" in refused.err
    result = command(*both, "--allow-missing", "--json")
    assert left(result) == {"missing": 1}
    assert keys(out) == ["a/1.jpg"]


@pytest.fixture
def linked(scenes: Path, tmp_path: Path) -> Path:
    """A dataset of symbolic links, of two sources."""
    lay(scenes, tmp_path / "a", "1.jpg", "2.jpg", "day/3.jpg")
    lay(scenes, tmp_path / "b", "1.jpg", first=3)
    both, out = (tmp_path / "a", tmp_path / "b"), tmp_path / "linked"
    options = (*JSONL, "--images", "symlink", "--split", "train=1")
    result = command("run", *both, "-o", out, "--model", "shapes", "--workers", 0, *options)
    assert result.code == 0, result.err
    return out


@pytest.mark.parametrize("fail", [unmount, remove, dangle, put_a_file, link_to_itself])
def test_an_export_is_refused_where_the_originals_of_a_source_are_gone(
    linked: Path, fail: Callable[[Path], None]
) -> None:
    before = tree(linked)
    kept = linked.with_name("kept")
    (linked.parent / "b").rename(kept)
    (linked.parent / "b").mkdir()
    fail(linked.parent / "b")
    for refused in (
        command("export", linked),
        command("export", linked, "-o", linked.with_name("lent")),
    ):
        assert refused.code == 1
        assert "b' is" in refused.err
        assert f"1 annotated image of the dataset {linked} came from there" in refused.err
        assert "--allow-missing" in refused.err
    assert tree(linked) == before
    assert not linked.with_name("lent").exists()
    without = command("export", linked, "--allow-missing", "--json")
    assert (without.code, [*without.json["left_out"]]) == (0, ["b/1.jpg"])
    assert keys(linked) == ["a/1.jpg", "a/2.jpg", "a/day/3.jpg"]


def test_an_export_goes_on_without_originals_that_it_does_not_need(linked: Path) -> None:
    shutil.rmtree(linked.parent / "b")
    assert command("export", linked, "--images", "none").code == 0
    assert len(keys(linked)) == 4


def test_an_export_leaves_out_single_originals_that_were_deleted(linked: Path) -> None:
    (linked.parent / "a" / "1.jpg").unlink()
    result = command("export", linked)
    assert result.code == 0, result.err
    assert "1 image is not in the dataset: a/1.jpg: its file is gone" in result.out
    assert keys(linked) == ["a/2.jpg", "a/day/3.jpg", "b/1.jpg"]


def test_an_export_whose_list_is_gone_cannot_tell_why_originals_are(
    source: Path, tmp_path: Path
) -> None:
    listed, out = tmp_path / "all.txt", tmp_path / "listed"
    listed.write_text("in/1.jpg\nin/disk/day/3.jpg\n")
    assert annotate(f"@{listed}", out, *JSONL, "--images", "symlink").code == 0
    (source / "1.jpg").unlink()
    listed.unlink()
    refused = command("export", out)
    assert refused.code == 1
    assert f"can't read the list {listed}" in refused.err
    assert "--allow-missing" in refused.err
    assert command("export", out, "--allow-missing").code == 0
    assert keys(out) == ["in/disk/day/3.jpg"]


def test_where_all_images_are_gone_no_leave_is_offered(source: Path, out: Path) -> None:
    shutil.rmtree(source)
    for given in ((), ("--allow-missing",)):
        refused = command("resume", out, *given)
        assert refused.code == 1 and f"{str(source)!r} is not there" in refused.err, refused
        assert "without it no image would be left" in refused.err
        assert "--allow-missing" not in refused.err


def test_folders_in_each_other_and_patterns_that_match_nothing_are_told(
    source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new"
    named = source, source / "disk", "--exclude", "day"
    done = command("run", *named, "-o", out, "--model", "shapes", "--workers", 0, *JSONL)
    assert done.code == 0
    assert f"{source / 'disk'} lies in {source}, which is a source too" in done.err
    assert "'day' of --include or --exclude matches no image's path or name" in done.err


def test_a_source_that_is_not_given_any_more_is_said(scenes: Path, tmp_path: Path) -> None:
    a, b = lay(scenes, tmp_path / "a", "1.jpg"), lay(scenes, tmp_path / "b", "1.jpg", first=1)
    out = tmp_path / "out"
    common = ("-o", out, "--model", "shapes", "--workers", 0, *JSONL, "--json")
    assert command("run", a, b, *common).code == 0
    result = command("run", a, *common)
    assert left(result) == {"not-named": 1}
    assert result.json["run"]["annotated"] == 0
    assert keys(out) == ["a/1.jpg"]
    back = command("run", b, a, *common)
    assert back.json["run"]["annotated"] == 0
    assert keys(out) == ["a/1.jpg", "b/1.jpg"]


def break_listing(monkeypatch: pytest.MonkeyPatch, folder: str, error: OSError) -> None:
    """From now on the system can't list a folder, as with a network that is gone."""
    listed = os.scandir

    def fail(path: Any) -> Iterator[os.DirEntry[bytes]]:
        if isinstance(path, bytes) and path.endswith(f"/{folder}".encode()):
            raise error
        return listed(path)

    monkeypatch.setattr(os, "scandir", fail)


@pytest.mark.parametrize(
    ("folder", "error", "count"),
    [
        ("in/disk/day", PermissionError(13, "Permission denied"), 2),
        ("in/disk", OSError(5, "Input/output error"), 2),
        ("in", OSError(107, "Transport endpoint is not connected"), 4),
    ],
)
def test_a_folder_that_cannot_be_listed_is_refused(
    source: Path,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
    folder: str,
    error: OSError,
    count: int,
) -> None:
    break_listing(monkeypatch, folder, error)
    result = annotate(source, out, *JSONL)
    assert result.code == 1
    assert f"{folder}' can't be read, and {count} annotated images" in result.err


def test_images_of_a_folder_that_cannot_be_listed_leave_where_that_is_allowed(
    source: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_listing(monkeypatch, "in/disk", OSError(5, "Input/output error"))
    result = annotate(source, out, *JSONL, "--allow-missing", "--json")
    assert left(result) == {"unreadable": 2}
    assert keys(out) == ["1.jpg", "2.jpg"]


def test_a_file_that_cannot_be_looked_at_is_refused(
    source: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = os.stat

    def fail_at_one(path: bytes, **how: object) -> os.stat_result:
        if isinstance(path, bytes) and path.endswith(b"/3.jpg"):
            raise OSError(116, "Stale file handle")
        return look(path, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "stat", fail_at_one)
    result = annotate(source, out, *JSONL)
    assert result.code == 1
    assert "in/disk/day' can't be read, and 1 annotated image of" in result.err


def test_a_list_whose_disk_is_not_mounted_is_refused(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "listed"
    (tmp_path / "all.txt").write_text("in/1.jpg\nin/disk/day/3.jpg\n")
    assert annotate(f"@{tmp_path}/all.txt", out, *JSONL).code == 0
    unmount_below(source)
    result = annotate(f"@{tmp_path}/all.txt", out, *JSONL)
    assert result.code == 1
    assert "in/disk' is empty, and 1 annotated image of" in result.err


def test_a_limit_takes_nothing_out_of_a_finished_dataset(source: Path, out: Path) -> None:
    lay(source, source, "5.jpg", "6.jpg")
    options = (*JSONL, "--limit", 2, "--json")
    planned = annotate(source, out, *options, "--dry-run").json
    result = annotate(source, out, *options)
    assert left(result) == {}
    images = result.json["images"]
    assert images == {"images": 4, "annotated": 4, "failed": 0, "beyond_limit": 2, "pending": 0}
    assert (planned["images"], planned["pending"], planned["beyond_limit"]) == (4, 0, 2)
    assert len(keys(out)) == 4
    assert "--limit left out 2 images" in annotate(source, out, *JSONL, "--limit", 2).out
    status = command("status", out).out
    assert "left out   2 by --limit" in status and status.count("--limit") == 1
    assert command("status", out, "--json").json["beyond_limit"] == 2
    later = annotate(source, out, *JSONL, "--json")
    assert later.json["run"]["annotated"] == 2
    assert "left out" not in command("status", out).out


def test_a_dry_run_of_a_new_job_says_what_a_limit_leaves_out(source: Path, tmp_path: Path) -> None:
    plan = annotate(source, tmp_path / "new", "--limit", 3, "--dry-run", "--json").json
    assert (plan["images"], plan["pending"], plan["beyond_limit"]) == (3, 3, 1)


@pytest.mark.parametrize("pattern", ["", "/**/*.jpg", "/*"])
def test_a_dataset_inside_a_source_is_passed_over(
    source: Path, tmp_path: Path, pattern: str
) -> None:
    inner = source / "disk" / "dataset"
    assert annotate(source / "1.jpg", inner, "--visuals").code == 0
    out = tmp_path / "out"
    result = annotate(f"{source}{pattern}", out, *JSONL, "--json")
    assert result.code == 0, result.err
    assert not [key for key in keys(out) if "dataset" in key]
    if pattern != "/*":  # there only files of the folder itself are named
        (skipped,) = result.json["run"]["skipped"]
        assert skipped == {"name": str(inner), "reason": "it is the dataset of a job"}
    single = next((inner / "images").rglob("*.jpg"))
    named = annotate(single, tmp_path / "single", *JSONL, "--json")
    assert named.json["images"]["annotated"] == 1


def test_another_program_s_job_db_hides_no_images(source: Path, tmp_path: Path) -> None:
    import sqlite3

    with sqlite3.connect(source / "disk" / "day" / "job.db") as other:
        other.execute("CREATE TABLE schedule (id INTEGER)")
    other.close()
    assert annotate(source, tmp_path / "out", *JSONL, "--json").json["images"]["annotated"] == 4


def test_a_second_source_moves_no_key_of_the_first(scenes: Path, source: Path, out: Path) -> None:
    other = lay(scenes, source.with_name("other"), "1.jpg", first=4)
    common = ("-o", out, "--model", "shapes", "--workers", 0, *JSONL, "--json")
    result = command("run", source, other, *common)
    assert (result.json["run"]["annotated"], left(result)) == (1, {})
    assert keys(out) == ["1.jpg", "2.jpg", "disk/day/3.jpg", "disk/day/4.jpg", "other/1.jpg"]
    link = source.with_name("link")
    link.symlink_to(other)
    again = command("run", link, os.path.relpath(source), *common)
    assert (again.json["run"]["annotated"], left(again)) == (0, {})
    one_of_it = command("run", source, other / "1.jpg", *common)
    assert (one_of_it.json["run"]["annotated"], left(one_of_it)) == (0, {})


def test_a_new_source_is_not_taken_for_a_folder_of_the_first(
    scenes: Path, source: Path, out: Path
) -> None:
    other = lay(scenes, source.with_name("elsewhere") / "disk", "day/3.jpg", first=4)
    common = ("-o", out, "--model", "shapes", "--workers", 0, *JSONL, "--json")
    assert command("run", source, other, *common).json["run"]["annotated"] == 1
    assert keys(out)[2:] == ["disk-2/day/3.jpg", "disk/day/3.jpg", "disk/day/4.jpg"]
    # and a folder of the first that comes later and bears the name of the second
    lay(scenes, source, "disk-2/day/3.jpg", first=5)
    result = command("run", source, other, *common)
    assert (result.json["run"]["annotated"], left(result)) == (1, {})
    assert len(keys(out)) == 6
    assert command("run", source, other, *common).json["run"]["annotated"] == 0


def test_a_dataset_goes_on_where_its_only_source_was_moved(source: Path, out: Path) -> None:
    moved = source.rename(source.with_name("moved"))
    (moved / "1.jpg").unlink()
    result = annotate(moved, out, *JSONL, "--json")
    assert (result.json["run"]["annotated"], left(result)) == (0, {"gone": 1})
    lay(moved, source, "2.jpg", first=0)
    both = command(
        *("run", source, moved, "-o", out, "--model", "shapes", "--workers", 0, *JSONL, "--json")
    )
    assert keys(out) == ["2.jpg", "disk/day/3.jpg", "disk/day/4.jpg", "in/2.jpg"]
    assert both.json["run"]["annotated"] == 1


def test_what_left_before_a_kill_is_said_by_the_run_that_exports(source: Path, out: Path) -> None:
    (source / "1.jpg").unlink()
    with Journal.open_to_write(out) as journal:  # a run, until it is killed
        select(journal, Sources([str(source)], SUFFIXES))
    result = command("resume", out, "--json")
    assert result.code == 0, result.err
    assert left(result) == {"gone": 1}
    assert left(command("resume", out, "--json")) == {}


def test_a_source_that_is_gone_is_refused_also_where_the_output_is_the_default(
    scenes: Path, tmp_path: Path
) -> None:
    source = lay(scenes, tmp_path / "in", "1.jpg")
    options = ("--model", "shapes", "--workers", 0)
    assert command("run", source, *options).code == 0
    shutil.rmtree(source)
    result = command("run", source, *options)
    assert result.code == 1
    assert "in' is not there, and 1 annotated image of" in result.err
    alone = command("run", source, *options, "--allow-missing")
    assert alone.code == 1
    assert "without it no image would be left" in alone.err


def test_a_dataset_is_no_source(source: Path, out: Path, tmp_path: Path) -> None:
    result = annotate(out, tmp_path / "again")
    assert result.code == 1
    assert "it is the dataset of a job" in result.err


def test_a_job_that_noted_no_roots_has_those_of_its_last_run(scenes: Path, tmp_path: Path) -> None:
    a = lay(scenes, tmp_path / "a" / "in", "1.jpg", "2.jpg")
    b = lay(scenes, tmp_path / "b" / "in", "1.jpg", first=2)
    c = lay(scenes, tmp_path / "c" / "in", "1.jpg", first=3)
    out = tmp_path / "out"
    common = ("-o", out, "--model", "shapes", "--workers", 0, *JSONL, "--json")
    assert command("run", a, b, *common).code == 0
    with Journal.open_to_write(out) as journal:
        journal.roots.replace([])
    shutil.rmtree(b)
    result = command("run", c, a, *common)
    assert (result.json["run"]["annotated"], left(result)) == (1, {"not-named": 1})
    assert keys(out) == ["in-3/1.jpg", "in/1.jpg", "in/2.jpg"]


def test_another_run_that_changes_the_sources_meanwhile_is_noticed(
    scenes: Path, source: Path, out: Path
) -> None:
    other = lay(scenes, source.with_name("other"), "1.jpg", first=4)

    def job() -> Job:
        named = (str(source), str(other))
        return Job(job_spec.build({"model": "shapes", "workers": 0, "sources": named}), out)

    first, second = job(), job()
    first.run(reporter=ScreenReporter(quiet=True))
    with pytest.raises(JobError, match="just now"):
        second.run(reporter=ScreenReporter(quiet=True))


def test_names_of_texts_are_held_to_all_images_also_with_a_limit(
    source: Path, tmp_path: Path
) -> None:
    texts = tmp_path / "texts.csv"
    texts.write_text("image,text\n1.jpg,a star\n4.jpg,a cross\n9.jpg,a cross\n")
    options = ("--task", "grounding", "--texts", texts, "--limit", 1, *JSONL)
    result = annotate(source, tmp_path / "grounded", *options)
    assert result.code == 0, result.err
    assert "1 names of --texts or --regions fit no image: '9.jpg'" in result.err
