"""No image is ever lost: what an export does with the last copy of one."""

import errno
import os
import shutil
from pathlib import Path

import pytest
from conftest import annotate, command
from PIL import Image
from read_back import image_names
from written_answers import picture

from florence_annotate.formats import cloning, replacing
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
        patched.setattr(replacing.Replacing, "_move", die)
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
        assert not any(path.startswith("orphans/") for path in journal.exports.files())


def test_an_original_that_comes_back_is_linked_again(job: Path) -> None:
    source, away = job.parent / "in", job.parent / "away"
    source.rename(away)
    assert command("export", job, "--seed", 3).code == 0
    away.rename(source)
    assert command("export", job).code == 0
    (linked,) = (job / "images").rglob("plain.png")
    assert linked.samefile(source / "plain.png")


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
            noted = dict(journal.exports.each())[image.relative_to(out).as_posix()]
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
            noted = dict(journal.exports.each())[image.relative_to(out).as_posix()]
        assert noted.placed == Placed.HARD_LINK
