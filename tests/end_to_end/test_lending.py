"""Datasets in folders of their own, beside the job's: `export OUT -o FOLDER`."""

import os
import shutil
import sqlite3
from pathlib import Path

import pytest
import yaml
from conftest import Result, annotate, command, tree
from written_answers import answer, written_job

from florence_annotate import open_dataset
from florence_annotate.errors import JobError
from florence_annotate.formats import moving

BOX, SMALL = (100, 100, 300, 300), (0, 0, 50, 50)
SAID = {"a.png": [answer("car", *BOX, "tree", *SMALL)], "b.png": [answer("car", *SMALL)]}


@pytest.fixture
def job(tmp_path: Path) -> Path:
    out = written_job(tmp_path, SAID, formats="yolo,coco")
    assert command("export", out).code == 0
    return out


@pytest.fixture
def lent(job: Path) -> Path:
    folder = job.with_name("lent")
    assert command("export", job, "-o", folder).code == 0
    return folder


def counts(job: Path) -> list[int]:
    """Rows of the journal about folders that the job was exported to."""
    connection = sqlite3.connect(job / "job.db")
    tables = ("targets", "exported_images", "exported_classes")
    try:
        return [connection.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in tables]
    finally:
        connection.close()


def refused(result: Result, *said: object) -> bool:
    assert (result.code, len(result.err.splitlines())) == (2, 1), result.err
    assert all(str(each) in result.err for each in said), result.err
    return True


def copy_of(folder: Path) -> Path:
    return Path(shutil.copytree(folder, folder.with_name(f"{folder.name}-copy"), symlinks=True))


def policy(out: Path) -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load((out / "policy.yaml").read_text())
    return found


def test_a_copy_of_the_job_s_folder_is_none_of_its_others(job: Path) -> None:
    copy = copy_of(job)
    before = tree(copy)
    assert refused(command("export", job, "-o", copy, "--min-area", 300), copy, "is a copy of")
    assert tree(copy) == before
    result = command("export", job, "--min-area", 400, "--json")
    assert (result.code, result.json["held"]) == (0, {})
    assert command("export", copy, "--min-area", 300).code == 0  # a job of its own


def test_a_copy_of_another_folder_is_told_from_it(job: Path, lent: Path) -> None:
    copy = copy_of(lent)
    result = command("export", job, "-o", copy, "--min-area", 300)
    assert refused(result, f"{copy} is a copy of {lent}")
    result = command("export", job, "-o", lent, "--min-area", 400, "--json")
    assert (result.code, result.json["held"]) == (0, {})


def test_a_folder_that_was_moved_goes_on(job: Path, lent: Path) -> None:
    moved = lent.rename(lent.with_name("moved"))
    assert command("export", job, "-o", moved, "--min-area", 300).code == 0
    copy = copy_of(moved).rename(lent)  # where it was once
    assert refused(command("export", job, "-o", copy), f"{copy} is a copy of {moved}")
    shutil.rmtree(moved)
    result = command("export", job, "-o", copy, "--min-area", 400, "--json")
    assert (result.code, result.json["held"]) == (0, {})


def test_where_a_folder_lay_is_known_after_a_restart(scenes: Path, tmp_path: Path) -> None:
    out, lent = tmp_path / "out", tmp_path / "lent"
    assert annotate(scenes, out, "--limit", 2).code == 0
    assert command("export", out, "-o", lent).code == 0
    assert annotate(scenes, out, "--limit", 2, "--restart").code == 0
    copy = copy_of(lent)
    assert refused(command("export", out, "-o", copy), f"{copy} is a copy of {lent}")
    assert command("export", out, "-o", lent).code == 0


@pytest.mark.parametrize("is_first", [True, False])
def test_status_knows_a_folder_that_a_killed_export_left_half_written(
    job: Path, monkeypatch: pytest.MonkeyPatch, is_first: bool
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    folder = job.with_name("lent to")
    if not is_first:
        assert command("export", job, "-o", folder).code == 0
    with monkeypatch.context() as patched:
        patched.setattr(moving.Moving, "_move", die)
        assert command("export", job, "-o", folder, "--min-area", 300).code == 130
    said = command("status", job).out
    assert f"{folder} is half-written" in said
    assert f"florence-annotate export {job} -o '{folder}'" in said
    told = command("status", job, "--json").json
    assert (told["unfinished_elsewhere"], told["export_is_unfinished"]) == ([str(folder)], False)
    assert command("export", job, "-o", folder).code == 0
    assert "half-written" not in command("status", job).out


def test_a_folder_in_a_source_is_refused(job: Path) -> None:
    source = job.with_name("in")
    for folder in (source / "lent", source):
        result = command("export", job, "-o", folder)
        assert refused(result, "lies in the source", "-o")
    assert sorted(path.name for path in source.iterdir()) == ["a.png", "b.png"]


def test_a_folder_around_an_image_that_was_named_is_refused(
    scenes: Path, tmp_path: Path, job: Path, lent: Path
) -> None:
    out = tmp_path / "other"
    image = lent / "images" / "train" / "a.png"
    assert annotate(image, out).code == 0
    assert refused(command("export", out, "-o", lent), "source image", "lies in the output")


def test_a_dataset_inside_a_source_is_passed_over(
    scenes: Path, tmp_path: Path, job: Path, lent: Path
) -> None:
    source, out = tmp_path / "source", tmp_path / "out-of-source"
    source.mkdir()
    shutil.copy(scenes / "ground-truth.json", source)
    picture = next(scenes.glob("*.jpg"))
    shutil.copy(picture, source)
    lent.rename(source / "lent")
    (source / "other").mkdir()
    (source / "other" / "policy.yaml").write_text("Statement: [{Effect: Allow}]\ntarget: all\n")
    shutil.copy(picture, source / "other" / "2.jpg")
    result = annotate(source, out, "--json")
    assert result.json["images"]["annotated"] == 2
    (skipped,) = result.json["run"]["skipped"]
    assert skipped == {"name": str(source / "lent"), "reason": "it is the dataset of a job"}
    # also where its policy can't be read
    with (source / "lent" / "policy.yaml").open("a") as file:
        file.write("min_area: [\n")
    assert annotate(source, out, "--json").json["images"]["annotated"] == 2


def test_a_policy_for_once_stays_with_a_new_folder(job: Path) -> None:
    once, other = job.with_name("once.yaml"), job.with_name("other")
    once.write_text("min_area: 300\nclasses: [car]\n")
    before = (job / "policy.yaml").read_bytes()
    assert command("export", job, "-o", other, "--policy", once).code == 0
    assert (job / "policy.yaml").read_bytes() == before
    settled = policy(other)
    assert (settled["min_area"], settled["class_ids"]) == (300, {0: "car"})
    files = tree(other)
    assert command("export", job, "-o", other).code == 0
    assert tree(other) == files
    # and there it is for once again
    once.write_text("min_area: 0\n")
    assert command("export", job, "-o", other, "--policy", once).code == 0
    assert policy(other) == settled


def test_a_policy_for_once_settles_nothing_where_there_is_no_other(job: Path) -> None:
    once = job.with_name("once.yaml")
    once.write_text("min_area: 300\n")
    (job / "policy.yaml").unlink()
    assert command("export", job, "--policy", once, "--json").json["instances"] == 1
    assert policy(job)["min_area"] == 0
    assert command("export", job, "--json").json["instances"] == 3


@pytest.mark.parametrize("is_link", [True, False], ids=["link", "dots"])
def test_the_job_s_folder_may_be_spelled_otherwise(job: Path, is_link: bool) -> None:
    other = job.with_name("link")
    if is_link:
        other.symlink_to(job)
    else:
        (job.with_name("a")).mkdir()
        other = job.with_name("a") / ".." / job.name
    for first, second in ((job, other), (other, job)):
        result = command("export", first, "-o", second, "--min-area", 300)
        assert result.code == 0, result.err
    assert policy(job)["min_area"] == 300
    assert counts(job)[0] == 1


@pytest.mark.parametrize(
    "options",
    [
        ("--format", "nope"),
        ("--include", "nope*"),
        ("--policy", "nope.yaml"),
        ("--classes", "ufo,ufo"),
    ],
    ids=lambda options: options[0],
)
def test_a_refused_export_leaves_nothing(job: Path, options: tuple[str, str]) -> None:
    other, before = job.with_name("other"), counts(job)
    for _ in range(2):
        assert command("export", job, "-o", other, *options).code in (1, 2)
        assert counts(job) == before
        assert not other.exists()
    assert command("export", job, "-o", other).code == 0


def test_an_export_without_originals_leaves_nothing(job: Path) -> None:
    shutil.rmtree(job.with_name("in"))
    shutil.rmtree(job / "images")
    other, before = job.with_name("other"), counts(job)
    result = command("export", job, "-o", other)
    assert result.code == 1
    assert (counts(job), other.exists()) == (before, False)


def test_two_kinds_of_yolo_need_two_folders(job: Path) -> None:
    result = command("export", job, "--format", "yolo,yolo-obb")
    assert refused(result, "export … -o FOLDER")
    assert command("export", job, "-o", job.with_name("obb"), "--format", "yolo-obb").code == 0


def test_a_folder_that_was_exported_to_is_no_job_and_said_to_be_a_dataset(
    dataset: Path, tmp_path: Path
) -> None:
    job, lent = tmp_path / "job", tmp_path / "lent"
    shutil.copytree(dataset, job)
    assert command("export", job, "-o", lent, "-q").code == 0
    for name in ("status", "export", "resume", "failures"):
        ended = command(name, lent)
        assert ended.code == 1 and len(ended.err.splitlines()) == 1
        assert f"{lent} is a dataset that a job in another folder was exported to" in ended.err
        assert "give the folder of that job" in ended.err and "Begin one" not in ended.err
    with pytest.raises(JobError, match="give the folder of that job"):
        open_dataset(lent)


def test_a_job_that_is_read_only_is_exported_by_a_copy_of_its_journal(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, mine = tmp_path / "job", tmp_path / "mine"
    shutil.copytree(dataset, job)
    may = os.access  # root may write everywhere but on a disk that is read-only
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda path, mode: mode != os.W_OK and may(path, mode))
        ended = command("export", job, "-o", tmp_path / "lent")
    assert ended.code == 1 and len(ended.err.splitlines()) == 1
    assert (
        f"{job} is read-only, and an export to {tmp_path / 'lent'} writes to the job" in ended.err
    )
    assert "free space" not in ended.err and "job.lock" not in ended.err
    assert not (tmp_path / "lent").exists()
    mine.mkdir()
    for name in ("job.db", "policy.yaml"):
        shutil.copy(job / name, mine)
    assert command("export", mine, "-q").code == 0
    assert tree(mine) == tree(job)
