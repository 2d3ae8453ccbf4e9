"""No image is ever lost: what an export does with the last copy of one."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import annotate, command, tree
from PIL import Image
from read_back import assert_noted, image_names
from written_answers import answer, attempt, picture, written_job

from florence_annotate.formats import cloning, moving, staging
from florence_annotate.journal import Journal, Placed


def turned(path: Path, size: tuple[int, int] = (60, 40)) -> Path:
    """A JPEG that is to be shown turned: a dataset holds it upright, in bytes of its own."""
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(path, size, exif=exif)
    return path


def images(out: Path) -> dict[str, bytes]:
    """Images of the dataset by name, whatever their split."""
    return {p.name: p.read_bytes() for p in (out / "images").rglob("*") if p.suffix in SUFFIXES}


SUFFIXES = (".jpg", ".png")


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A job about a turned JPEG, a GIF and a PNG, which is a hard link."""
    source = tmp_path / "in"
    turned(source / "turned.jpg")
    picture(source / "moving.gif", (50, 40))
    picture(source / "plain.png", (40, 40))
    out = tmp_path / "out"
    assert annotate(source, out, "--images", "hardlink").code == 0
    return out


def test_images_of_the_datasets_own_stay_when_the_originals_are_gone(job: Path) -> None:
    before = images(job)
    assert before.keys() == {"turned.jpg", "moving.png", "plain.png"}
    shutil.rmtree(job.parent / "in")
    for options in (["--seed", 3], ["--split", "train=0.5,val=0.5"], ["--format", "yolo"], []):
        assert command("export", job, *options).code == 0
        assert images(job) == before
    assert not (job / "orphans").exists()


def test_a_restart_keeps_what_nobody_else_has(job: Path) -> None:
    lost = images(job)["turned.jpg"]
    (job.parent / "in" / "turned.jpg").unlink()
    assert annotate(job.parent / "in", job, "--restart").code == 0
    assert images(job).keys() == {"moving.png", "plain.png"}
    (orphan,) = (job / "orphans").iterdir()
    assert orphan.read_bytes() == lost


@pytest.mark.parametrize("mode", ["hardlink", "copy"])
def test_the_image_that_an_original_was_before_it_was_replaced_is_kept(
    tmp_path: Path, mode: str
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    picture(source / "a.png", (40, 40))
    old = (source / "a.png").read_bytes()
    assert annotate(source, out, "--images", mode).code == 0
    picture(tmp_path / "new.png", (70, 50))
    (tmp_path / "new.png").replace(source / "a.png")
    assert annotate(source, out, "--images", mode).code == 0
    assert images(out) == {"a.png": (source / "a.png").read_bytes()}
    (orphan,) = (out / "orphans").iterdir()
    assert orphan.read_bytes() == old
    assert command("export", out, "--seed", 5).code == 0
    assert orphan.exists()


def test_a_last_copy_is_found_again(job: Path) -> None:
    before = images(job)
    shutil.rmtree(job.parent / "in")
    assert command("export", job, "--images", "none", "--no-visuals").code == 0
    assert not images(job)
    assert len(list((job / "orphans").iterdir())) == 3
    assert command("export", job, "--images", "auto").code == 0
    assert images(job) == before
    assert not (job / "orphans").exists()


def test_a_last_copy_is_known_also_where_the_export_was_killed_that_moved_it(
    job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = images(job)
    shutil.rmtree(job.parent / "in")

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(moving.Moving, "_move", die)
        assert command("export", job, "--images", "none", "--no-visuals").code != 0
    assert not images(job) and len(list((job / "orphans").iterdir())) == 3
    assert command("export", job, "--images", "auto").code == 0
    assert images(job) == before
    assert not (job / "orphans").exists()


def test_a_last_copy_that_somebody_removed_is_forgotten(job: Path) -> None:
    shutil.rmtree(job.parent / "in")
    options = ("--images", "none", "--no-visuals")
    assert command("export", job, *options).code == 0
    shutil.rmtree(job / "orphans")
    assert command("export", job, *options).code == 0
    with Journal.open_existing(job) as journal:
        assert not any(path.startswith("orphans/") for path in dict(journal.exports.files.each()))


def test_an_original_that_comes_back_is_linked_again(job: Path) -> None:
    source, away = job.parent / "in", job.parent / "away"
    source.rename(away)
    assert command("export", job, "--seed", 3).code == 0
    away.rename(source)
    assert command("export", job).code == 0
    (linked,) = (job / "images").rglob("plain.png")
    assert linked.samefile(source / "plain.png")


def test_a_link_becomes_a_file_of_its_own_also_after_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else an edit of what is noted as a copy would be one of the original."""
    source, out = tmp_path / "in", tmp_path / "out"
    picture(source / "a.png", (40, 40))
    assert annotate(source, out, "--images", "hardlink").code == 0

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(moving.Moving, "_move", die)
        assert command("export", out, "--images", "copy").code != 0
    assert command("export", out, "--images", "copy").code == 0
    (placed,) = (out / "images").rglob("a.png")
    assert not placed.samefile(source / "a.png")


def test_another_datasets_hard_link_is_no_original(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    picture(source / "a.png")
    picture(source / "b.png", (50, 50))
    assert annotate(source, out, "--images", "hardlink").code == 0
    lost = (source / "a.png").read_bytes()
    os.link(source / "a.png", tmp_path / "elsewhere.png")
    (source / "a.png").unlink()
    assert annotate(source, out).code == 0
    assert image_names(out) == ["b.png"]
    (orphan,) = (out / "orphans").iterdir()
    assert orphan.read_bytes() == lost


SAID = [answer("car", 1, 2, 300, 400)]


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A job about two images, each of which the dataset has a copy of."""
    out = written_job(
        tmp_path, dict.fromkeys(("a.png", "b.png"), SAID), formats="yolo,coco", images="copy"
    )
    assert command("export", out).code == 0
    return out


VAL = ("--split", "train=0.001,val=0.999")
NO_IMAGES = ("--images", "none")


def files_with(out: Path, data: bytes) -> list[str]:
    """Paths in a dataset where these bytes lie."""
    return [path for path, found in tree(out).items() if found == data]


def a_file(path: Path) -> None:
    path.write_bytes(b"mine")


def a_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(("planted", "code"), [(a_file, 0), (a_folder, 3)])
def test_a_last_copy_whose_new_place_is_taken_is_kept(
    copied: Path, planted: Callable[[Path], None], code: int
) -> None:
    lost = (copied.parent / "in" / "a.png").read_bytes()
    shutil.rmtree(copied.parent / "in")
    place = copied / "images" / "val" / "a.png"
    place.parent.mkdir()
    planted(place)
    for _ in range(2):
        result = command("export", copied, *VAL, "--json")
        assert (result.code, list(result.json["held"])) == (code, ["images/val/a.png"])
        (orphan,) = files_with(copied, lost)
        assert orphan.startswith("orphans/")
    place.rename(copied.parent / "aside")
    assert command("export", copied, *VAL).code == 0
    assert files_with(copied, lost) == ["images/val/a.png"]


def refuse(monkeypatch: pytest.MonkeyPatch, name: str, below: Path) -> None:
    """From now on nothing may be moved to a folder, or to what is in it, with this function of
    `os`."""
    move = getattr(os, name)

    def fail(source: Any, target: Any) -> None:
        if Path(target).is_relative_to(below):
            raise PermissionError(errno.EACCES, "Permission denied")
        move(source, target)

    monkeypatch.setattr(os, name, fail)


@pytest.mark.parametrize("how", ["replace", "rename"])
def test_a_last_copy_stays_where_its_new_place_cannot_be_written(
    copied: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """A folder that is there, or one that would come as a whole."""
    before = images(copied)
    shutil.rmtree(copied.parent / "in")
    if how == "replace":
        (copied / "images" / "val").mkdir()
    with monkeypatch.context() as patched:
        refuse(patched, how, copied / "images" / "val")
        result = command("export", copied, *VAL, "--json")
    assert result.code == 3
    assert sorted(result.json["held"]) == [
        f"images/{split}/{name}.png" for split in ("train", "val") for name in "ab"
    ]
    assert (images(copied), (copied / "images" / "train" / "a.png").exists()) == (before, True)
    with Journal.open_existing(copied) as journal:
        assert_noted(journal)
    assert command("export", copied, *VAL).code == 0
    assert images(copied) == before and not (copied / "images" / "train").exists()


def test_a_last_copy_comes_back_only_to_a_place_that_is_free(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = images(copied)
    shutil.rmtree(copied.parent / "in")
    assert command("export", copied, *NO_IMAGES).code == 0
    place = copied / "images" / "train"
    place.mkdir(parents=True)
    with monkeypatch.context() as patched:
        refuse(patched, "replace", place / "b.png")
        (place / "a.png").write_bytes(b"mine")
        assert command("export", copied, "--images", "auto").code == 3
    for data in before.values():
        (orphan,) = files_with(copied, data)
        assert orphan.startswith("orphans/")
    (place / "a.png").unlink()
    assert command("export", copied, "--images", "auto").code == 0
    assert images(copied) == before and not (copied / "orphans").exists()


@pytest.mark.parametrize("is_folder", [False, True])
@pytest.mark.parametrize("mode", ["none", "symlink", "hardlink"])
def test_an_original_that_is_a_link_into_the_dataset_is_none(
    copied: Path, mode: str, is_folder: bool
) -> None:
    """Tools that look for duplicates leave such links."""
    before, source = images(copied), copied.parent / "in"
    shutil.rmtree(source)
    if is_folder:
        source.symlink_to(copied / "images" / "train")
    else:
        source.mkdir()
        for name in before:
            (source / name).symlink_to(copied / "images" / "train" / name)
    assert command("export", copied, "--images", mode).code == 0
    for data in before.values():
        assert len(files_with(copied, data)) == 1
    assert command("export", copied, "--images", "copy").code == 0
    assert images(copied) == before


def test_originals_that_are_links_are_known_by_what_they_lead_to(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        picture(tmp_path / "real" / name, (40, 50))
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / name).symlink_to(tmp_path / "real" / name)
    out = written_job(tmp_path, dict.fromkeys(("a.png", "b.png"), SAID), images="copy")
    assert command("export", out).code == 0
    assert command("export", out, *NO_IMAGES).code == 0
    assert not (out / "orphans").exists() and not images(out)


def test_another_folder_has_files_of_its_own(copied: Path) -> None:
    before = images(copied)
    shutil.rmtree(copied.parent / "in")
    lent = copied.parent / "lent"
    assert command("export", copied, "-o", lent).code == 0
    with (lent / "images" / "train" / "a.png").open("r+b") as file:
        file.write(b"EDIT")
    assert images(copied) == before


def test_identical_images_that_move_are_files_of_their_own(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        picture(tmp_path / "in" / name)
    assert annotate(tmp_path / "in", tmp_path / "out", "--images", "copy").code == 0
    shutil.rmtree(tmp_path / "in")
    for split in ("train=0.001,val=0.999", "train=0.999,val=0.001"):
        assert command("export", tmp_path / "out", "--split", split).code == 0
        found = list((tmp_path / "out" / "images").rglob("*.png"))
        assert [path.stat().st_nlink for path in found] == [1, 1]


def test_an_edited_last_copy_is_not_written_over(copied: Path) -> None:
    source, away = copied.parent / "in", copied.parent / "away"
    before = images(copied)
    source.rename(away)
    assert command("export", copied, *NO_IMAGES).code == 0
    orphan = next((copied / "orphans").glob("*a.png"))
    orphan.write_bytes(b"edited")
    away.rename(source)
    assert command("export", copied, "--images", "copy").code == 0
    source.rename(away)
    assert command("export", copied, *NO_IMAGES).code == 0
    assert orphan.read_bytes() == b"edited"
    assert len(files_with(copied, before["a.png"])) == 1


def test_images_of_one_name_that_look_alike_come_back_both(tmp_path: Path) -> None:
    """They differ in what a camera notes, so that the dataset has the same bytes for both."""
    for folder in "xy":
        exif = Image.Exif()
        exif[0x0112], exif[0x010E] = 6, folder
        picture(tmp_path / "in" / folder / "t.jpg", (60, 40), exif=exif)
    out = tmp_path / "out"
    assert annotate(tmp_path / "in", out, "--images", "copy").code == 0
    before = tree(out)
    shutil.rmtree(tmp_path / "in")
    assert command("export", out, *NO_IMAGES, "--no-visuals").code == 0
    assert len(list((out / "orphans").iterdir())) == 2
    result = command("export", out, "--images", "copy", "--json")
    assert result.json["left_out"] == {}
    assert tree(out) == before


def test_a_last_copy_of_a_long_name_is_kept_under_a_shorter_one(tmp_path: Path) -> None:
    name = "ä" * 122 + ".png"
    out = written_job(tmp_path, {name: SAID}, images="copy")
    assert command("export", out).code == 0
    (before,) = images(out).values()
    shutil.rmtree(tmp_path / "in")
    assert command("export", out, *NO_IMAGES).code == 0
    (orphan,) = files_with(out, before)
    assert orphan.startswith("orphans/") and "ää" in orphan
    assert command("export", out, "--images", "copy").code == 0
    assert list(images(out).values()) == [before]


def test_a_last_copy_that_cannot_be_moved_holds_up_nothing_else(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = images(copied)
    shutil.rmtree(copied.parent / "in")
    with monkeypatch.context() as patched:
        refuse(patched, "replace", copied / "orphans")
        result = command("export", copied, *NO_IMAGES, "--json")
    assert (result.code, len(result.json["held"])) == (3, 2)
    assert images(copied) == before
    with Journal.open_existing(copied) as journal:
        assert journal.exports.is_finished() and journal.exports.outcome() is None
    assert command("export", copied, *NO_IMAGES).code == 0
    assert len(list((copied / "orphans").iterdir())) == 2


def test_a_restart_on_other_images_finds_the_originals_of_before(tmp_path: Path) -> None:
    for number in range(2):
        picture(tmp_path / "in" / f"{number}.png", (40 + number, 40))
        picture(tmp_path / "other" / f"{number}.png", (60 + number, 40))
    out = tmp_path / "out"
    assert annotate(tmp_path / "in", out, "--images", "copy").code == 0
    assert annotate(tmp_path / "other", out, "--images", "copy", "--restart").code == 0
    assert not (out / "orphans").exists()


@pytest.mark.parametrize(
    "options", [VAL, NO_IMAGES, ("--images", "symlink")], ids=["split", "none", "links"]
)
def test_an_export_that_is_killed_at_any_moment_loses_nothing(
    copied: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    data = images(copied)["a.png"]
    (copied.parent / "in" / "a.png").unlink()
    assert_kills_lose_nothing(copied, options, data, monkeypatch)


def test_an_image_that_is_written_over_is_kept_until_its_copy_has_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two identical images one got other content, and of the other one all files are gone."""
    source = tmp_path / "in"
    picture(source / "a.png")
    data = (source / "a.png").read_bytes()
    said = dict.fromkeys(("a.png", "b.png"), SAID)
    out = written_job(tmp_path, said, images="copy")
    shutil.copy(source / "a.png", source / "b.png")
    with Journal.open_to_write(out) as journal:
        attempt(journal, tmp_path, said)
    assert command("export", out).code == 0
    picture(source / "a.png", (70, 50))
    with Journal.open_to_write(out) as journal:
        attempt(journal, tmp_path, said)
    (source / "b.png").unlink()
    (out / "images" / "train" / "b.png").unlink()
    assert_kills_lose_nothing(out, (), data, monkeypatch)


def assert_kills_lose_nothing(
    out: Path, options: tuple[str, ...], data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an export that is killed at any moment there are the bytes of an image, and the next
    one does what one that is not killed does."""
    whole = Path(shutil.copytree(out, out.parent / "whole"))
    assert command("export", whole, *options).code == 0
    with Journal.open_existing(whole) as journal:
        assert_noted(journal)
    moment, was_killed = 0, True
    while was_killed:
        killed = Path(shutil.copytree(out, out.parent / f"killed-{moment}"))
        left = [moment]
        with monkeypatch.context() as patched:
            kill_after(patched, killed, left)
            was_killed = command("export", killed, *options).code != 0
        assert files_with(killed, data)
        assert command("export", killed, *options).code == 0
        assert tree(killed) == tree(whole)
        moment += 1
    assert moment > 1


def kill_after(monkeypatch: pytest.MonkeyPatch, out: Path, left: list[int]) -> None:
    """End the process before it changes a dataset's folder once more than so often; what is staged
    is not counted."""

    def counted(name: str, change: Callable[..., None]) -> Callable[..., None]:
        def changed(*arguments: Any, **options: Any) -> None:
            target = Path(os.fsdecode(arguments[name in ("replace", "rename")]))
            is_staged = staging.FOLDER in target.parts
            is_of_files = target.is_relative_to(out / "images") or target.parent == out / "orphans"
            if is_of_files and not is_staged and "dir_fd" not in options:
                if not left[0]:
                    raise KeyboardInterrupt
                left[0] -= 1
            change(*arguments, **options)

        return changed

    for name in ("replace", "rename", "unlink", "mkdir", "rmdir"):
        monkeypatch.setattr(os, name, counted(name, getattr(os, name)))


class TestClones:
    @pytest.fixture
    def cloned(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """A file system that makes clones; holds how often."""
        calls: list[int] = []

        def ioctl(target: int, request: int, source: int) -> int:
            assert request == 0x40049409  # FICLONE of linux/fs.h
            calls.append(target)
            os.sendfile(target, source, 0, os.fstat(source).st_size)
            return 0

        monkeypatch.setattr(cloning.fcntl, "ioctl", ioctl)
        return calls

    def test_an_image_is_a_clone_where_the_file_system_makes_one(
        self, tmp_path: Path, cloned: list[int]
    ) -> None:
        source, out = tmp_path / "in", tmp_path / "out"
        picture(source / "a.png")
        assert annotate(source, out).code == 0
        assert len(cloned) == 1
        (image,) = (out / "images").rglob("a.png")
        assert image.read_bytes() == (source / "a.png").read_bytes()
        assert not image.samefile(source / "a.png")
        with Journal.open_existing(out) as journal:
            noted = dict(journal.exports.files.each())[image.relative_to(out).as_posix()]
        assert noted.placed == Placed.CLONE
        assert command("export", out).code == 0  # nothing has changed
        assert len(cloned) == 1

    def test_an_edited_clone_is_a_correction_and_leaves_the_original_alone(
        self, tmp_path: Path, cloned: list[int]
    ) -> None:
        source, out = tmp_path / "in", tmp_path / "out"
        picture(source / "a.png")
        before = (source / "a.png").read_bytes()
        assert annotate(source, out).code == 0
        (image,) = (out / "images").rglob("a.png")
        image.write_bytes(b"edited")
        held = command("export", out, "--json").json["held"]
        assert list(held) == [image.relative_to(out).as_posix()]
        assert image.read_bytes() == b"edited"
        assert (source / "a.png").read_bytes() == before

    def test_elsewhere_it_is_a_hard_link_and_the_last_screen_says_what_that_is(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def ioctl(*_: int) -> int:
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")

        monkeypatch.setattr(cloning.fcntl, "ioctl", ioctl)
        source, out = tmp_path / "in", tmp_path / "out"
        picture(source / "a.png")
        result = annotate(source, out)
        (image,) = (out / "images").rglob("a.png")
        assert image.samefile(source / "a.png")
        assert "hard links" in result.out and "--images copy" in result.out
        with Journal.open_existing(out) as journal:
            noted = dict(journal.exports.files.each())[image.relative_to(out).as_posix()]
        assert noted.placed == Placed.HARD_LINK
