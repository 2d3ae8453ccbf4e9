"""Which images are the job's. See test_journal for what becomes of their attempts."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from written_answers import select

from florence_annotate.errors import OutputError
from florence_annotate.journal import Journal
from florence_annotate.journal.selection import Selected
from florence_annotate.types import Failure, ImageRef, Record


def ref(key: str) -> ImageRef:
    return ImageRef(key, f"/in/{key}".encode(), 1, 1)


@pytest.fixture
def annotated(tmp_path: Path) -> Path:
    """A journal with the images a, b and c, of which c has no answer yet."""
    with Journal.create(tmp_path) as journal:
        select(journal, map(ref, "abc"))
        run = journal.runs.begin("{}")
        journal.append(run, [Record(ref(key), key * 64, 1, 1, ()) for key in "ab"])
    return tmp_path


def test_a_reader_is_told_what_would_leave_and_writes_nothing(annotated: Path) -> None:
    before = (annotated / "job.db").read_bytes()
    with Journal.open_existing(annotated) as reader:
        reader.selection.note([ref("b"), ref("d")], 1)
        assert list(reader.selection.leaving()) == [("a", b"/in/a")]
        assert list(reader.selection.noted(retry_failed=False)) == [
            (ref("b"), False, False, "b" * 64),
            (ref("d"), True, False, None),
        ]
        with pytest.raises(OutputError, match="readonly"):
            reader.selection.take_over()
    assert (annotated / "job.db").read_bytes() == before


def test_what_left_is_told_until_an_export_is_finished(annotated: Path) -> None:
    with Journal.open_to_write(annotated) as journal:
        for _ in range(2):
            journal.selection.note([ref("b")])
            assert list(journal.selection.leaving()) == [("a", b"/in/a")]
            journal.selection.take_over()
            assert [record.ref.key for record in journal.records()] == ["b"]
        journal.selection.forget_left()
        journal.selection.note([ref("b")])
        assert list(journal.selection.leaving()) == []


def test_an_image_that_comes_back_has_not_left(annotated: Path) -> None:
    with Journal.open_to_write(annotated) as journal:
        select(journal, [ref("b")])
        journal.selection.note([ref("a")])
        assert list(journal.selection.leaving()) == [("b", b"/in/b")]


@pytest.mark.parametrize(
    ("listed", "limit", "is_news"),
    [
        ([ref(key) for key in "abc"], None, False),
        ([ref(key) for key in "cab"], 3, False),
        ([ref(key) for key in "ab"], None, True),
        ([ref(key) for key in "abcd"], None, True),
        ([ref(key) for key in "abd"], None, True),
        ([ref(key) for key in "abc"], 2, True),
        ([], None, True),
        *(
            ([ref("a"), ref("b"), ref("c")._replace(**change)], None, True)
            for change in ({"path": b"/c"}, {"size_bytes": 2}, {"mtime_ns": 2}, {"inode": 2})
        ),
    ],
)
def test_what_differs_from_the_images_of_the_job_is_news(
    annotated: Path, listed: list[ImageRef], limit: int | None, is_news: bool
) -> None:
    with Journal.open_to_write(annotated) as journal:
        journal.selection.note(listed, limit)
        assert journal.selection.is_news() is is_news


def test_what_nobody_was_told_of_stays_news(annotated: Path) -> None:
    """That an image left, till an export is finished."""
    with Journal.open_to_write(annotated) as journal:
        for _ in range(2):
            journal.selection.note([ref("a"), ref("b")])
            assert journal.selection.is_news()
            journal.selection.take_over()
        journal.selection.forget_left()
        journal.selection.note([ref("a"), ref("b")])
        assert not journal.selection.is_news()


def test_a_limit_leaves_what_is_known_in_the_job(annotated: Path) -> None:
    with Journal.open_to_write(annotated) as journal:
        select(journal, map(ref, "abcd"), 1)
        assert [record.ref.key for record in journal.records()] == ["a", "b"]
        counts = journal.counts()
        assert (counts.images, counts.annotated, counts.beyond_limit) == (2, 2, 2)
        assert journal.selection.count_pending(retry_failed=False) == 0


@pytest.mark.parametrize(
    ("inode", "now", "is_other"),
    [(None, None, False), (None, 7, False), (7, None, False), (7, 7, False), (7, 8, True)],
)
def test_everybody_compares_files_by_one_rule(
    tmp_path: Path, inode: int | None, now: int | None, is_other: bool
) -> None:
    before, after = (ref("a")._replace(inode=number) for number in (inode, now))
    with Journal.create(tmp_path) as journal:
        select(journal, [before])
        journal.append(journal.runs.begin("{}"), [Record(before, "a" * 64, 1, 1, ())])
        journal.selection.note([after])
        (noted,) = journal.selection.noted(retry_failed=False)
        journal.selection.take_over()
        assert noted.is_pending is is_other
        assert journal.selection.count_pending(retry_failed=False) == is_other
        assert bool(list(journal.selection.changed())) is is_other
    status: Any = SimpleNamespace(st_size=1, st_mtime_ns=1, st_ino=now or 0)
    assert before.is_seen_in(status) is not is_other
    assert before.seen_as(status) == after


def test_what_is_noted_is_pending_as_it_is_once_it_is_taken_over(annotated: Path) -> None:
    changes = [ref("a"), ref("b")._replace(size_bytes=2), ref("c"), ref("d"), ref("e")]
    with Journal.open_to_write(annotated) as journal:
        journal.append(1, [Failure(ref("c"), "read", "missing", "gone")])
        for retry_failed, pending in ((False, "bd"), (True, "bcd")):
            journal.selection.note(changes, 4)
            noted = list(journal.selection.noted(retry_failed=retry_failed))
            assert [one.ref.key for one in noted if one.is_pending] == list(pending)
            assert [one.ref.key for one in noted if one.is_beyond_limit] == ["e"]
            journal.selection.take_over()
            refs = journal.selection.pending(retry_failed=retry_failed)
            assert [one.key for one in refs] == list(pending)


def test_what_keys_begin_with_is_known(annotated: Path) -> None:
    with Journal.open_to_write(annotated) as journal:
        select(journal, [ref("day/1.jpg"), ref("night-2/1.jpg")])
        found = {name: journal.selection.has_below(name) for name in ("a", "day", "da", "night")}
    assert found == {"a": True, "day": True, "da": False, "night": False}


def test_images_that_other_journals_have_selected_join_or_replace_its_own(annotated: Path) -> None:
    images = [
        (ref("b"), Selected.BEYOND_LIMIT),
        (ref("d"), Selected.BEYOND_LIMIT),
        (ref("b"), Selected.YES),
        (ref("d")._replace(path=b"/elsewhere"), Selected.BEYOND_LIMIT),
    ]
    with Journal.open_to_write(annotated) as journal:
        journal.selection.note_selected(images)
        journal.selection.take_over(are_all=False)
        assert [found.key for found in journal.selection.refs()] == ["a", "b", "c", "d"]
        journal.selection.note_selected(images)
        journal.selection.take_over()
        assert list(journal.selection.each()) == [
            (ref("a"), Selected.LEFT),
            (ref("b"), Selected.YES),
            (ref("c"), Selected.LEFT),
            (ref("d"), Selected.BEYOND_LIMIT),
        ]
