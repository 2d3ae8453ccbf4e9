"""What another journal holds of images, taken over."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from written_answers import answer, select

from florence_annotate.errors import JobError
from florence_annotate.journal import Journal
from florence_annotate.journal.merging import Merging
from florence_annotate.types import Answer, Failure, ImageRef, Record


def ref(key: str) -> ImageRef:
    return ImageRef(key, f"/in/{key}".encode(), 10, 20, 30)


def record(key: str, said: str, sha: str = "a") -> Record:
    return Record(ref(key), sha, 100, 80, (answer(said, 1, 2, 3, 4),))


def failure(key: str) -> Failure:
    return Failure(ref(key), "read", "missing", "not there")


@pytest.fixture
def journals(tmp_path: Path) -> Iterator[tuple[Journal, Journal]]:
    """One to take over into, and one to take from; both know the images a and b."""
    with Journal.create(tmp_path / "ours") as ours, Journal.create(tmp_path / "theirs") as theirs:
        for journal in (ours, theirs):
            select(journal, [ref("a"), ref("b")])
            assert journal.runs.begin("{}") == 1
        yield ours, theirs


def take(
    ours: Journal,
    theirs: Journal,
    is_as_it_lies: Callable[[ImageRef, str], bool] = lambda ref, sha: False,
) -> Merging:
    merging = Merging(ours, 1, is_as_it_lies, has_own_texts=False)
    for _ in range(2):  # as often as one likes
        merging.undecided.clear()
        merging.take(theirs, lambda ref: ref)
    return merging


def said(journal: Journal, key: str) -> list[tuple[Answer, ...]]:
    found = journal.record_of(key)
    return [] if found is None else [found.answers, *found.earlier]


def test_attempts_come_over_as_they_are(journals: tuple[Journal, Journal]) -> None:
    ours, theirs = journals
    theirs.append(1, [failure("a"), record("a", "cat"), record("a", "dog")])
    take(ours, theirs)
    assert ours.record_of("a") == theirs.record_of("a")
    assert said(ours, "b") == []
    assert ours.last_attempt() == 3


@pytest.mark.parametrize(
    ("mine", "other", "stays"),
    [
        ([record("a", "cat")], [record("a", "dog")], "cat"),
        ([record("a", "cat")], [failure("a")], "cat"),
        ([failure("a")], [record("a", "dog")], "dog"),
        ([record("a", "cat"), failure("a")], [record("a", "dog")], "dog"),
        ([], [record("a", "dog")], "dog"),
        ([failure("a")], [failure("a")], None),
    ],
)
def test_a_record_is_better_than_a_failure_and_the_first_one_stays(
    journals: tuple[Journal, Journal],
    mine: list[Record | Failure],
    other: list[Record | Failure],
    stays: str | None,
) -> None:
    ours, theirs = journals
    ours.append(1, mine)
    theirs.append(1, other)
    assert take(ours, theirs).undecided == []
    found = said(ours, "a")
    assert (found[0][0].data[:3].decode() if found else None) == stays


@pytest.mark.parametrize(
    ("lies", "stays", "undecided"), [("x", "cat", []), ("y", "dog", []), ("z", "cat", ["a"])]
)
def test_of_other_bytes_those_of_the_file_count(
    journals: tuple[Journal, Journal], lies: str, stays: str, undecided: list[str]
) -> None:
    ours, theirs = journals
    ours.append(1, [record("a", "cat", "x")])
    theirs.append(1, [record("a", "dog", "y")])
    assert take(ours, theirs, lambda ref, sha: sha == lies).undecided == undecided
    assert said(ours, "a")[0][0].data.startswith(stays.encode())


def test_images_that_left_come_over_and_stay_away(journals: tuple[Journal, Journal]) -> None:
    ours, theirs = journals
    select(theirs, [ref("b"), ref("c")])
    theirs.append(1, [record("c", "cat")])
    select(theirs, [ref("b")])
    take(ours, theirs)
    assert ours.record_of("c") == theirs.record_of("c")
    assert [found.key for found in ours.selection.refs()] == ["a", "b"]


def test_a_file_is_where_it_is_from_here(journals: tuple[Journal, Journal]) -> None:
    ours, theirs = journals
    theirs.append(1, [record("a", "cat")])
    moved = ImageRef("a", b"/elsewhere/a", 10, 20, 30)
    Merging(ours, 1, lambda ref, sha: False, has_own_texts=False).take(theirs, lambda ref: moved)
    assert [found.path for found in ours.annotated()] == [b"/elsewhere/a"]


def test_more_images_than_one_transaction_takes(
    journals: tuple[Journal, Journal], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = journals
    keys = [f"{number:03}" for number in range(25)]
    select(theirs, [ref(key) for key in keys])
    theirs.append(1, [record(key, key) for key in keys])
    monkeypatch.setattr("florence_annotate.journal.merging._PAGE", 4)
    take(ours, theirs)
    assert [said(ours, key)[0][0].data[:3].decode() for key in keys] == keys


def test_a_damaged_answer_is_told_of_the_journal_that_has_it(
    journals: tuple[Journal, Journal],
) -> None:
    ours, theirs = journals
    theirs.append(1, [record("a", "cat")])
    theirs.connection.execute("UPDATE answers SET ends = x'00'")
    with pytest.raises(JobError, match=r"theirs/job\.db is damaged"):
        take(ours, theirs)


# what leaves no trace


def test_a_journal_is_read_without_a_trace(tmp_path: Path) -> None:
    folder = tmp_path / "job"
    with Journal.create(folder) as journal:
        select(journal, [ref("a")])
        journal.append(journal.runs.begin("{}"), [record("a", "cat")])
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with Journal.open_untouched(folder) as journal:
        assert [found.key for found in journal.annotated()] == ["a"]
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            journal.connection.execute("DELETE FROM attempts")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("content", [None, b""])
def test_a_folder_without_a_journal_is_told_as_such(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "job.db").write_bytes(content)
    with pytest.raises(JobError, match="holds no job"):
        Journal.open_untouched(tmp_path)
    with pytest.raises(JobError, match="holds no job"):
        Journal.open_untouched(tmp_path / "nowhere")
