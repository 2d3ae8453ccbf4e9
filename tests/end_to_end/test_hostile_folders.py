"""A dataset's folder that comes from somebody else does no harm."""

import os
import shutil
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import command, tree
from written_answers import answer, written_job

from florence_annotate.journal import Journal

SAID = {"a.png": [answer("car", 1, 2, 300, 400)], "b.png": [answer("car", 1, 2, 300, 400)]}


@pytest.fixture
def job(tmp_path: Path) -> Path:
    out = written_job(tmp_path, SAID, formats="yolo")
    assert command("export", out).code == 0
    return out


def change(out: Path, sql: str, *values: str) -> None:
    connection = sqlite3.connect(out / "job.db")
    connection.execute(sql, values)
    connection.commit()
    connection.close()


FILE = "INSERT INTO files (target, path, content, size_bytes, mtime_ns) VALUES (1, ?, 'x', 0, 0)"


@pytest.mark.parametrize("path", ["../victim.txt", "{root}/victim.txt", "labels/../../victim.txt"])
@pytest.mark.parametrize(
    "sql", [FILE, "UPDATE exported_images SET name = ? WHERE image = 1"], ids=["file", "image"]
)
def test_a_journal_that_leads_out_of_its_folder_is_refused(job: Path, path: str, sql: str) -> None:
    victim = job.parent / "victim.txt"
    victim.write_text("mine")
    change(job, sql, path.format(root=job.parent))
    before = sorted(job.parent.rglob("*"))
    result = command("export", job, "--min-score", 0.9, "--overwrite")
    assert (result.code, len(result.err.splitlines())) == (1, 1)
    assert "outside of its dataset" in result.err
    assert victim.read_text() == "mine"
    assert sorted(job.parent.rglob("*")) == before


def test_a_key_that_leads_out_of_the_folder_becomes_a_harmless_name(job: Path) -> None:
    change(job, "UPDATE images SET key = ? WHERE id = 1", "../../victim.png")
    change(job, "DELETE FROM exported_images")
    outside = set(job.parent.rglob("*")) - set(job.rglob("*"))
    assert command("export", job).code == 0
    assert set(job.parent.rglob("*")) - set(job.rglob("*")) == outside


@pytest.mark.parametrize("folder", ["labels", "images", "labels/train"])
def test_a_folder_that_is_a_link_is_not_written_through(job: Path, folder: str) -> None:
    elsewhere = job.parent / "elsewhere"
    (job / folder).rename(elsewhere)
    (job / folder).symlink_to(elsewhere)
    before = {path: path.read_bytes() for path in elsewhere.rglob("*") if path.is_file()}
    result = command("export", job, "--split", "train=0.5,val=0.5", "--overwrite")
    assert result.code == 1
    assert f"{job / folder} is a link" in result.err.splitlines()[-1]
    assert {path: path.read_bytes() for path in elsewhere.rglob("*") if path.is_file()} == before


def a_link(path: Path) -> None:
    path.symlink_to(path.parent.parent / "victim")


def a_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("planted", [a_link, a_folder])
@pytest.mark.parametrize("name", ["labels/train/a.txt", "data.yaml", "images/train/a.png"])
def test_what_is_planted_in_the_place_of_a_file_is_left_alone(
    job: Path, planted: Callable[[Path], None], name: str
) -> None:
    victim = job.parent / "victim"
    victim.write_text("mine")
    (job / name).unlink()
    planted(job / name)
    result = command("export", job, "--min-score", 0.9, "--json")
    assert name in result.json["held"]
    assert result.code == (0 if planted is a_link else 3)
    assert victim.read_text() == "mine"


def test_a_label_that_cannot_be_read_holds_up_its_image_alone(job: Path) -> None:
    label = job / "labels" / "train" / "a.txt"
    label.unlink()
    label.mkdir()
    (label / "kept").touch()
    result = command("export", job, "--min-area", 100_000, "--json")
    assert (result.code, list(result.json["held"])) == (3, ["labels/train/a.txt"])
    assert (job / "labels" / "train" / "b.txt").read_text() == ""
    shutil.rmtree(label)
    assert command("export", job, "--min-area", 100_000).code == 0
    assert label.read_text() == ""


def test_a_journal_that_is_a_link_is_read_but_not_written_through(job: Path) -> None:
    victim = job.parent / "victim.db"
    (job / "job.db").rename(victim)
    (job / "job.db").symlink_to(victim)
    before = victim.read_bytes()
    other = job.parent / "other"
    run = ("run", job.parent / "in", "-o", job, "--model", "shapes")
    for arguments in (("export", job, "--min-score", 0.9), ("export", job, "-o", other), run):
        result = command(*arguments)
        assert (result.code, "job.db is a link" in result.err.splitlines()[-1]) == (1, True)
        assert victim.read_bytes() == before
    assert not other.exists()
    assert command("status", job).code == 0


def test_a_colon_in_a_name_is_no_harm(tmp_path: Path) -> None:
    names = ["10:10:00.jpg", "10:11:00.jpg", "c:/1.png", "c:/2:3.png"]
    said = [answer("car", 1, 2, 300, 400, logprobs=[-n * 1.0] * 5) for n in range(4)]
    out = written_job(tmp_path, {name: [one] for name, one in zip(names, said, strict=True)})
    assert command("export", out).code == 0
    # an image that a new split leaves out has none
    split = ("--split", "train=.5,val=.5", "--seed", 3)
    assert command("export", out, "--labelled-only", "--min-score", 0.99, *split).code == 0
    result = command("export", out, "--no-labelled-only", "--min-score", 0)
    assert (result.code, result.err.count("error")) == (0, 0), result.err
    with Journal.open_to_write(out) as journal:
        assert {kept.name for _, kept in journal.exports.assignments.each()} == set(names)


@pytest.mark.parametrize("split", ["..", "valid", "train/..", "/", "val/", "a\\b"])
def test_a_split_that_no_job_has_is_refused(job: Path, split: str) -> None:
    change(job, "UPDATE exported_images SET split = ? WHERE image = 1", split)
    result = command("export", job)
    assert result.code == 1
    assert "job.db is damaged" in result.err


@pytest.mark.parametrize("name", ["../victim.png", "/victim.png", "a//b.png"])
def test_an_image_without_a_split_leads_out_of_no_folder(job: Path, name: str) -> None:
    change(job, "UPDATE exported_images SET split = '', name = ? WHERE image = 1", name)
    result = command("export", job)
    assert result.code == 1
    assert "outside of its dataset" in result.err


def test_a_fifo_in_the_place_of_a_file_is_waited_for_by_nobody(job: Path) -> None:
    label, original = job / "labels" / "train" / "a.txt", job.parent / "in" / "b.png"
    for path in (label, original):
        path.unlink()
        os.mkfifo(path)
    signal.alarm(60)
    result = command("export", job, "--min-score", 0.9, "--images", "none", "--json")
    assert (result.code, result.json["held"]) == (3, {"labels/train/a.txt": "it is a fifo"})
    (orphan,) = (job / "orphans").iterdir()
    assert orphan.name.endswith("-b.png")


def test_a_folder_that_is_a_file_holds_up_what_belongs_there_alone(job: Path) -> None:
    """Also where an image is looked for there, since its original is gone."""
    folder = job / "images" / "train"
    shutil.rmtree(folder)
    folder.write_text("mine")
    (job.parent / "in" / "a.png").unlink()
    result = command("export", job, "--min-area", 100_000, "--json")
    assert (result.code, list(result.json["held"])) == (3, ["images/train/b.png"])
    assert list(result.json["left_out"]) == ["a.png"]
    assert folder.read_text() == "mine"
    assert (job / "labels" / "train" / "b.txt").read_text() == ""


def test_a_folder_in_the_place_of_a_lost_image_is_no_copy_of_it(job: Path) -> None:
    image = job / "images" / "train" / "a.png"
    image.unlink()
    image.mkdir()
    (job.parent / "in" / "a.png").unlink()
    result = command("export", job, "--json")
    assert (list(result.json["left_out"]), list(result.json["held"])) == (
        ["a.png"],
        ["images/train/a.png"],
    )


def test_a_link_in_the_place_of_the_last_copies_is_not_followed(job: Path) -> None:
    shutil.rmtree(job.parent / "in")
    outside = job.parent / "outside"
    outside.mkdir()
    (job / "orphans").symlink_to(outside)
    before = tree(job)
    result = command("export", job, "--images", "none")
    assert (result.code, f"{job / 'orphans'} is a link" in result.err) == (1, True)
    assert (tree(job), list(outside.iterdir())) == (before, [])
    with Journal.open_existing(job) as journal:
        assert journal.exports.is_finished()
