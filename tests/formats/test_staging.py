"""The folder in which an export is written."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from florence_annotate.errors import OutputError
from florence_annotate.formats import staging
from florence_annotate.formats.staging import FOLDER, Staging
from florence_annotate.journal import Change, Journal, MadeOf, Placed, Planned


@contextmanager
def staging_in(folder: Path) -> Iterator[Staging]:
    """The staging of an export to a folder, of a job that lies elsewhere."""
    with (
        TemporaryDirectory() as elsewhere,
        Journal.create(Path(elsewhere)) as journal,
        Staging(folder, Planned(journal)) as staged,
    ):
        yield staged


def test_files_are_known_by_their_hash_and_lie_apart(tmp_path: Path) -> None:
    with staging_in(tmp_path) as staged:
        staged.write_text("b/é.txt", "ä")
        file = staged.open("a.txt")
        file.write_text("one ")
        assert file.write(b"two ") == 4
        file.write_text("three")
        staged.finish()
        files = dict(staged.planned.contents())
        assert list(files) == ["a.txt", "b/é.txt"]
        for path, content in files.items():
            data = (tmp_path / FOLDER / path).read_bytes()
            assert content == hashlib.sha256(data).hexdigest()
        assert (tmp_path / FOLDER / "a.txt").read_text() == "one two three"
        assert file.closed
        assert [path.name for path in tmp_path.iterdir()] == [FOLDER]
    assert list(tmp_path.iterdir()) == []


def test_long_texts_are_written_on_the_way(tmp_path: Path) -> None:
    with staging_in(tmp_path) as staged:
        file = staged.open("a.txt")
        for _ in range(100):
            file.write_text("x" * 10_000)
        assert 0 < (tmp_path / FOLDER / "a.txt").stat().st_size < 1_000_000
        staged.finish()
        (written,) = staged.planned.contents()
        assert written == ("a.txt", hashlib.sha256(b"x" * 1_000_000).hexdigest())


def test_links_and_copies_are_known_by_what_they_hold(tmp_path: Path) -> None:
    original = tmp_path / "in" / "1.png"
    original.parent.mkdir()
    original.write_bytes(b"pixels")
    sha = hashlib.sha256(b"pixels").hexdigest()
    out = tmp_path / "out"
    out.mkdir()
    with staging_in(out) as staged:
        copy, hard, soft = (
            MadeOf(sha, placed) for placed in (Placed.COPY, Placed.HARD_LINK, Placed.SYMBOLIC_LINK)
        )
        staged.copy("images/copy.png", str(original), copy)
        assert staged.hard_link("images/hard.png", str(original), sha, hard)
        assert staged.symbolic_link("images/below/soft.png", str(original), soft)
        assert [file[:3] for file in staged.planned.each(Change.NONE)] == [
            ("images/below/soft.png", "link:../../../in/1.png", soft),
            ("images/copy.png", sha, copy),
            ("images/hard.png", sha, hard),
        ]
        assert (out / FOLDER / "images/hard.png").samefile(original)
        assert not (out / FOLDER / "images/copy.png").samefile(original)


def test_where_there_is_no_link_another_way_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", fail)
    monkeypatch.setattr(os, "symlink", fail)
    (tmp_path / "1.png").write_bytes(b"pixels")
    with staging_in(tmp_path) as staged:
        original = str(tmp_path / "1.png")
        assert not staged.hard_link("images/1.png", original, "sha", MadeOf())
        assert not staged.symbolic_link("images/1.png", original, MadeOf())
        staged.copy("images/1.png", original, MadeOf())


@pytest.mark.parametrize("second", ["write_text", "open"])
def test_no_file_is_written_twice(tmp_path: Path, second: str) -> None:
    with staging_in(tmp_path) as staged:
        staged.open("a.txt")
        with pytest.raises(AssertionError, match=r"a\.txt"):
            getattr(staged, second)(*("a.txt", "x")[: 2 if second == "write_text" else 1])


def test_what_a_killed_export_left_is_cleared(tmp_path: Path) -> None:
    (tmp_path / FOLDER / "labels").mkdir(parents=True)
    (tmp_path / FOLDER / "labels" / "a.txt").write_text("old")
    with staging_in(tmp_path) as staged:
        staged.write_text("labels/a.txt", "new")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / FOLDER).mkdir()
    staging.remove(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_error_closes_and_clears_all_and_late_writes_are_lost(tmp_path: Path) -> None:
    with pytest.raises(KeyError), staging_in(tmp_path) as staged:
        file, scratch = staged.open("a.parquet"), staged.scratch()
        file.write_text("not written yet")
        raise KeyError
    assert file.closed and scratch.closed
    assert file.write(b"a library closes what it holds") == 30
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="gone"), staging_in(tmp_path / "gone"):
        pass


@pytest.mark.parametrize("is_piecewise", [False, True])
def test_a_name_that_is_too_long_is_told_with_its_path(tmp_path: Path, is_piecewise: bool) -> None:
    path = f"labels/{'x' * 300}.txt"
    with staging_in(tmp_path) as staged, pytest.raises(OutputError, match="xxx"):
        staged.open(path) if is_piecewise else staged.write_text(path, "")


@pytest.mark.parametrize("link", ["hard_link", "symbolic_link"])
def test_an_original_is_not_written_through_its_link(tmp_path: Path, link: str) -> None:
    """Where two images of an export are given one path, by mistake."""
    first, second, out = tmp_path / "1.png", tmp_path / "2.png", tmp_path / "out"
    first.write_bytes(b"one")
    second.write_bytes(b"two")
    out.mkdir()
    made_of = MadeOf("sha", Placed.COPY)
    with staging_in(out) as staged:
        content = ("sha",) if link == "hard_link" else ()
        assert getattr(staged, link)("images/a.png", str(first), *content, made_of)
        for again in (link, "copy"):
            given = content if again == link else ()
            with pytest.raises(AssertionError, match=r"images/a\.png"):
                getattr(staged, again)("images/a.png", str(second), *given, made_of)
    assert first.read_bytes() == b"one"
