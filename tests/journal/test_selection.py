"""Which images are the job's. See test_journal for what becomes of their attempts."""

from pathlib import Path

import pytest

from florence_annotate.errors import OutputError
from florence_annotate.journal import Journal
from florence_annotate.types import ImageRef, Record


def ref(key: str) -> ImageRef:
    return ImageRef(key, f"/in/{key}".encode(), 1, 1)


@pytest.fixture
def annotated(tmp_path: Path) -> Path:
    """A journal with the images a, b and c, of which c has no answer yet."""
    with Journal.create(tmp_path) as journal:
        journal.selection.replace(map(ref, "abc"))
        run = journal.begin_run("{}")
        journal.append(run, [Record(ref(key), key * 64, 1, 1, ()) for key in "ab"])
    return tmp_path


def test_a_reader_is_told_what_would_leave_and_writes_nothing(annotated: Path) -> None:
    before = (annotated / "job.db").read_bytes()
    with Journal.open_existing(annotated) as reader:
        reader.selection.note([ref("b"), ref("d")], 1)
        assert list(reader.selection.leaving()) == [("a", b"/in/a")]
        assert list(reader.selection.noted()) == [(ref("b"), True), (ref("d"), False)]
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
        journal.selection.replace([ref("b")])
        journal.selection.note([ref("a")])
        assert list(journal.selection.leaving()) == [("b", b"/in/b")]


def test_a_limit_leaves_what_is_known_in_the_job(annotated: Path) -> None:
    with Journal.open_to_write(annotated) as journal:
        journal.selection.replace(map(ref, "abcd"), 1)
        assert [record.ref.key for record in journal.records()] == ["a", "b"]
        counts = journal.counts()
        assert (counts.images, counts.annotated, counts.beyond_limit) == (2, 2, 2)
        assert journal.selection.count_pending(retry_failed=False) == 0


def test_what_keys_begin_with_is_known(annotated: Path) -> None:
    with Journal.open_to_write(annotated) as journal:
        journal.selection.replace([ref("day/1.jpg"), ref("night-2/1.jpg")])
        found = {name: journal.selection.has_below(name) for name in ("a", "day", "da", "night")}
    assert found == {"a": True, "day": True, "da": False, "night": False}
