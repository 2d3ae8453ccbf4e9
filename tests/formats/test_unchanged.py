"""An export in which nothing changed: what proves it, and everything that must not pass for it."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import annotate, command, tree
from PIL import Image
from written_answers import answer, attempt, picture, written_job

from florence_annotate.config import job_spec
from florence_annotate.config.dataset_settings import DatasetSettings
from florence_annotate.config.settings import CHOOSING
from florence_annotate.dataset.opening import last_spec
from florence_annotate.errors import OutputError
from florence_annotate.formats import moving, unchanged
from florence_annotate.formats.export import export
from florence_annotate.formats.outcome import Outcome
from florence_annotate.formats.staging import FOLDER, Staging
from florence_annotate.journal import Journal
from florence_annotate.policy.captions import CaptionSettings
from florence_annotate.policy.thresholds import Thresholds

FORMATS = "yolo,coco,jsonl"
SAID = {
    "a.png": [answer("car", 100, 100, 300, 300, "tree", 400, 400, 800, 800)],
    "below/b.png": [answer("car", 1, 2, 300, 400)],
    "c.png": [answer()],
}


class Job:
    """A job that no model ran, and how often its dataset was built."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = folder / "in"
        self.out = written_job(folder, SAID, formats=FORMATS, images="hardlink")
        self.builds = 0
        self.files: dict[str, str] = {}
        """Of the latest export: path → content."""

    def export(self, *, overwrite: bool = False, **settings: Any) -> Outcome:
        with Journal.open_to_write(self.out) as journal:
            spec = job_spec.change(last_spec(journal), settings)
            outcome = export(
                *(journal, self.out, spec),
                overwrite=overwrite,
                judge_lost=lambda count, lost: None,
                settle=lambda names: None,
            )
            listed = list(outcome.files())
        assert listed == sorted(listed)
        self.files = dict(listed)
        return outcome

    def is_built(self, **settings: Any) -> bool:
        """Whether an export builds the dataset; it comes to what a whole one would in any case."""
        before = self.builds
        outcome = self.export(**settings)
        outcome.notes.moved, outcome.notes.renumbered = 0, False  # nothing moves twice
        is_built = self.builds > before
        listed, files = self.files, tree(self.out)
        with Journal.open_to_write(self.out) as journal, journal.transaction():
            journal.connection.execute("UPDATE exports SET outcome = NULL")
        assert self.export(**settings) == outcome
        assert (self.files, tree(self.out)) == (listed, files)
        assert self.builds == before + is_built + 1
        return is_built


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """Exported once."""
    job = Job(tmp_path)
    enter = Staging.__enter__

    def count(self: Staging) -> Staging:
        job.builds += 1
        return enter(self)

    monkeypatch.setattr(Staging, "__enter__", count)
    job.export()
    assert job.builds == 1
    return job


def test_an_export_of_what_is_there_is_not_built_again(job: Job) -> None:
    before = {path: path.stat().st_mtime_ns for path in job.out.rglob("*") if path.is_file()}
    first = job.export()
    assert job.builds == 1
    assert not job.is_built()
    for path, time in before.items():
        assert path.name == "job.db" or path.stat().st_mtime_ns == time
    assert first.statistics.instances == {"car": 2, "tree": 1}
    assert job.files.keys() == tree(job.out).keys()


@pytest.mark.parametrize("mode", ["hardlink", "symlink", "copy", "none"])
def test_images_of_every_kind_are_known_again(job: Job, mode: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(job.source / "turned.jpg", (60, 40), exif=exif)  # a file of its own in any case
    with Journal.open_to_write(job.out) as journal:
        attempt(journal, job.folder, {"turned.jpg": [answer("car", 1, 2, 300, 400)]})
    assert job.is_built(images=mode)
    assert not job.is_built(images=mode)


def test_parquet_and_visuals_are_known_again(job: Job) -> None:
    settings = {"formats": "parquet", "visuals": True, "images": "none"}
    assert job.is_built(**settings)
    assert not job.is_built(**settings)
    os.utime(job.source / "a.png", (1, 1))
    assert job.is_built(**settings)


def test_an_image_that_is_left_out_need_not_be_there(job: Job) -> None:
    assert job.is_built(exclude="a.png")
    (job.source / "a.png").unlink()
    assert not job.is_built(exclude="a.png")
    assert job.is_built(exclude="c.png")


def say_again(job: Job) -> None:
    with Journal.open_to_write(job.out) as journal:
        attempt(journal, job.folder, {"a.png": [answer("cat", 1, 2, 3, 4)]})


def leave_one_out(job: Job) -> None:
    shutil.move(job.source / "a.png", job.folder)
    with Journal.open_to_write(job.out) as journal:
        attempt(journal, job.folder, {})


def add_one(job: Job) -> None:
    picture(job.source / "d.png")
    with Journal.open_to_write(job.out) as journal:
        attempt(journal, job.folder, {"d.png": [answer("cat", 1, 2, 3, 4)]})


def touch_original(job: Job) -> None:
    os.utime(job.source / "a.png", (1, 1))


def replace_original(job: Job) -> None:
    """By another file with the same bytes, size and time."""
    copy = job.folder / "copy.png"
    shutil.copy2(job.source / "a.png", copy)
    copy.replace(job.source / "a.png")


def copy_out(job: Job) -> None:
    """Copied away and back: what was a link is a file of its own."""
    shutil.copytree(job.out, job.folder / "copy")
    shutil.rmtree(job.out)
    (job.folder / "copy").rename(job.out)


def move_out(job: Job) -> None:
    job.out = job.out.rename(job.folder / "moved")


def touch_exported(job: Job) -> None:
    os.utime(job.out / "annotations.jsonl", (1, 1))


def remove_exported(job: Job) -> None:
    (job.out / "labels" / "train" / "a.txt").unlink()


def remove_image(job: Job) -> None:
    (job.out / "images" / "train" / "a.png").unlink()


def remove_folder(job: Job) -> None:
    shutil.rmtree(job.out / "labels")


@pytest.mark.parametrize(
    "change",
    [
        *(say_again, leave_one_out, add_one, touch_original, replace_original, copy_out, move_out),
        *(touch_exported, remove_exported, remove_image, remove_folder),
    ],
)
def test_a_change_is_seen(job: Job, change: Callable[[Job], None]) -> None:
    change(job)
    assert job.is_built()
    assert not job.is_built()


@pytest.mark.parametrize(
    "settings",
    [
        *({"formats": "yolo"}, {"formats": "coco,yolo,jsonl"}, {"min_score": 0.5}, {"nms": 0.5}),
        *({"classes": "tree,car"}, {"min_area": 100}, {"seed": 1}, {"images": "copy"}),
        *({"split": "train=0.5,val=0.5"}, {"visuals": True}, {"visuals_limit": 1}),
    ],
)
def test_another_setting_is_seen(job: Job, settings: dict[str, Any]) -> None:
    assert job.is_built(**settings)
    assert job.is_built()


@pytest.mark.parametrize(
    "settings",
    [{"device": "cpu"}, {"batch_size": 3}, {"max_failures": 3}, {"dtype": "float32"}],
)
def test_how_a_job_runs_shapes_no_file(job: Job, settings: dict[str, Any]) -> None:
    assert not job.is_built(**settings)


def test_every_setting_of_a_dataset_or_a_policy_is_taken_for_one_that_shapes_files() -> None:
    groups = (DatasetSettings, Thresholds, CaptionSettings)
    wanted = {name for group in groups for name in group.model_fields} - {"classes_file"}
    assert wanted | {"recipe", *CHOOSING} <= {*unchanged.SHAPING}
    assert "batch_size" not in unchanged.SHAPING


def test_the_epoch_of_the_build_is_seen(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    assert job.is_built()
    assert not job.is_built()


def test_another_version_is_seen(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = unchanged._versions()
    assert {"python", "florence-annotate", "pillow", "supervision"} <= versions.keys()
    for name in versions:
        monkeypatch.setattr(unchanged, "_versions", lambda n=name: versions | {n: "another"})
        assert job.is_built()


def test_a_file_that_somebody_changed_is_never_mended(job: Job) -> None:
    label = job.out / "labels" / "train" / "a.txt"
    label.write_text("mine")
    for _ in range(2):
        assert list(job.export().notes.held) == ["labels/train/a.txt"]
        assert label.read_text() == "mine"
    assert job.builds == 3
    assert job.is_built(overwrite=True)
    assert label.read_text() != "mine"


def test_an_original_that_is_gone_is_kept_by_the_datasets_copy(job: Job) -> None:
    (job.source / "a.png").unlink()
    assert job.is_built()
    outcome = job.export()
    assert "images/train/a.png" in job.files and not outcome.notes.left_out
    assert job.is_built()


def test_an_export_that_left_an_image_out_is_whole_the_next_time(job: Job) -> None:
    original = job.source / "a.png"
    job.export(images="symlink")
    original.rename(job.folder / "away.png")
    assert list(job.export(images="symlink").notes.left_out) == ["a.png"]
    (job.folder / "away.png").rename(original)
    assert job.is_built(images="symlink")
    assert not job.is_built(images="symlink")


def test_images_that_were_copied_since_no_link_was_to_be_had_are_tried_again(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no links here")

    shutil.rmtree(job.out / "images")
    with monkeypatch.context() as patched:
        patched.setattr(os, "link", fail)
        assert job.export().notes.copied == 3
    built = job.builds
    assert job.export().notes.copied == 0
    assert job.builds == built + 1
    assert (job.out / "images/train/a.png").samefile(job.source / "a.png")


def test_what_yolo_leaves_out_is_told_again(tmp_path: Path) -> None:
    picture(tmp_path / "in" / "dot.png", (1, 1))
    out = tmp_path / "out"
    assert annotate(tmp_path / "in", out, "--split", "train=1").code == 0
    first, second = (command("export", out, "--json") for _ in range(2))
    assert list(first.json["yolo_left_out"]) == ["dot.png"]
    assert first.json["splits_without_images"] == ["train", "val"]
    assert second.json == first.json


def test_a_killed_export_is_finished_by_a_whole_one(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    before = tree(job.out)
    with monkeypatch.context() as patched:
        patched.setattr(moving.Moving, "_move", die)
        with pytest.raises(KeyboardInterrupt):
            job.export(min_score=0.99, classes="tree")
    # and yet it could be anything by now, so that nobody is to read it
    assert tree(job.out) == {name: before[name] for name in before if name != "data.yaml"}
    assert "half-written" in command("status", job.out).out
    assert command("status", job.out, "--json").json["export_is_unfinished"] is True
    assert job.is_built()
    assert "half-written" not in command("status", job.out).out
    assert not job.is_built()


def test_an_export_killed_while_it_staged_leaves_nothing_behind(job: Job) -> None:
    (job.out / FOLDER / "labels").mkdir(parents=True)
    assert not job.is_built()
    assert not (job.out / FOLDER).exists()


def test_a_full_disk_leaves_the_export_before_in_its_place(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise OSError(28, "No space left on device")

    before = tree(job.out)
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", fail)
        with pytest.raises(OutputError, match="No space"):
            job.export(min_score=0.99)
    assert tree(job.out) == before
    assert not job.is_built()


def test_files_that_another_version_wrote_prove_nothing(job: Job) -> None:
    connection = sqlite3.connect(job.out / "job.db")
    connection.execute("DELETE FROM files WHERE path = 'data.yaml'")
    connection.commit()
    connection.close()
    (job.out / "data.yaml").unlink()
    assert job.is_built()
    assert (job.out / "data.yaml").exists()


def test_a_restart_forgets_what_was_exported_of_the_job(job: Job) -> None:
    with Journal.open_to_write(job.out) as journal:
        settings = journal.runs.last_settings()
        asked = journal.value("asked")
        journal.restart()
        journal.set_value("asked", asked)
        said = {key: [answer("boat", 1, 2, 300, 400)] for key in SAID}
        attempt(journal, job.folder, said, journal.runs.begin(str(settings)))
    assert job.is_built()
    assert job.export().class_names == ("boat",)


def test_a_resume_with_nothing_to_do_builds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(2):
        picture(tmp_path / "in" / f"{index}.png", (40 + index, 40))
    out = tmp_path / "out"
    assert annotate(tmp_path / "in", out).code == 0
    before = command("export", out, "--json").json

    def fail(self: Staging) -> Staging:
        raise AssertionError("it was built again")

    monkeypatch.setattr(Staging, "__enter__", fail)
    resumed = command("resume", out, "--json")
    assert resumed.code == 0, resumed.err
    same = {"run": 0, "settings": 0, "gates": 0}  # which are those of each command
    assert resumed.json | same == before | same
