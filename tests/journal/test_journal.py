"""What happened in a job: its images, and the attempts at them."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from written_answers import select

from florence_annotate.journal import Counts, Journal
from florence_annotate.types import Answer, Failure, ImageRef, Question, Record, TokenKind


def ref(key: str, size: int = 1, mtime: int = 1) -> ImageRef:
    return ImageRef(key, f"/in/{key}".encode(), size, mtime)


def record(ref: ImageRef, text: str = "car", sha: str = "abc") -> Record:
    answer = Answer(
        Question("<OD>"), text.encode() + b"<loc_5>", (len(text.encode()), len(text.encode()) + 7),
        (TokenKind.TEXT, TokenKind.LOCATION), (-0.25, -1.5), False,
    )  # fmt: skip
    return Record(ref, sha, 640, 480, (answer,))


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.create(tmp_path / "out") as opened:
        opened.runs.begin("{}")
        yield opened


def test_a_record_comes_back_as_it_was(journal: Journal) -> None:
    written = record(ref("é.jpg"), "自動車")
    select(journal, [written.ref])
    journal.append(1, [written])
    assert list(journal.records()) == [written]


def test_answers_leave_little_of_the_file_empty(journal: Journal) -> None:
    """An answer with ten boxes, as about a photograph, has 1 to 2 kB."""
    tokens = 40
    data = b"".join(b"<loc_%03d>" % number for number in range(tokens))
    ends, kinds = tuple(range(9, 9 * tokens + 1, 9)), (TokenKind.LOCATION,) * tokens
    answer = Answer(
        Question("<OD>"), data, ends, kinds, (-1.0,) * tokens, False, b"." * 13 * tokens
    )
    refs = [ref(f"{number}.jpg") for number in range(200)]
    select(journal, refs)
    journal.append(1, [Record(one, "abc", 640, 480, (answer,)) for one in refs])
    (size,) = journal.connection.execute(
        "SELECT sum(length(data) + length(ends) + length(kinds) + length(logprobs) "
        "+ length(spreads)) FROM answers"
    ).fetchone()
    assert journal.path.stat().st_size < 2 * size


def test_the_latest_attempt_counts_and_none_is_changed(journal: Journal) -> None:
    one = ref("1.jpg")
    select(journal, [one])
    journal.append(1, [Failure(one, "read", "permission", "no")])
    journal.append(1, [record(one)])
    assert journal.counts() == Counts(1, 1, 0)
    journal.append(1, [Failure(one, "decode", "truncated", "short")])
    assert journal.counts() == Counts(1, 0, 1)
    assert [failure.kind for failure in journal.failures()] == ["truncated"]
    rows = sqlite3.connect(journal.path).execute("SELECT kind FROM attempts ORDER BY seq")
    assert rows.fetchall() == [("permission",), (None,), ("truncated",)]


def test_pending_is_what_has_no_answer_in_key_order(journal: Journal) -> None:
    refs = [ref(name) for name in ("b", "a", "d", "c")]
    select(journal, refs)
    journal.append(1, [record(refs[1]), Failure(refs[2], "read", "empty", "")])
    assert [r.key for r in journal.selection.pending(retry_failed=False, page=1)] == ["b", "c"]
    assert [r.key for r in journal.selection.pending(retry_failed=True)] == ["b", "c", "d"]
    assert journal.selection.count_pending(retry_failed=True) == 3


def test_images_may_join_and_leave(journal: Journal) -> None:
    select(journal, [ref("a"), ref("b")])
    journal.append(1, [record(ref("a")), record(ref("b"))])
    select(journal, [ref("b"), ref("c")])
    assert [r.ref.key for r in journal.records()] == ["b"]
    assert [ref.key for ref in journal.selection.refs()] == ["b", "c"]
    assert journal.counts() == Counts(2, 1, 0)
    select(journal, [ref("a"), ref("b")])
    assert [r.ref.key for r in journal.records()] == ["a", "b"]


def test_a_touched_image_is_not_asked_again_when_its_bytes_are_the_same(
    journal: Journal,
) -> None:
    select(journal, [ref("a")])
    journal.append(1, [record(ref("a"))])
    select(journal, [ref("a", mtime=2)])
    assert journal.selection.count_pending(retry_failed=False) == 1
    ((touched, sha),) = journal.selection.changed()
    assert (touched.mtime_ns, sha) == (2, "abc")
    journal.selection.note_same_content([touched])
    assert journal.selection.count_pending(retry_failed=False) == 0
    (kept,) = journal.records()
    assert (kept.ref.mtime_ns, kept.answers) == (2, record(ref("a")).answers)


def test_a_torn_transaction_leaves_nothing(journal: Journal) -> None:
    select(journal, [ref("a"), ref("b")])
    broken = record(ref("b"))
    object.__setattr__(broken, "answers", (object(),))
    with pytest.raises(AttributeError):
        journal.append(1, [record(ref("a")), broken])
    assert journal.counts() == Counts(2, 0, 0)


def test_an_outcome_of_an_image_that_the_job_lacks_is_refused(journal: Journal) -> None:
    select(journal, [ref("a")])
    with pytest.raises(LookupError, match="no image 'b'"):
        journal.append(1, [record(ref("a")), record(ref("b"))])
    assert journal.counts() == Counts(1, 0, 0)
    assert journal.one("SELECT * FROM answers") is None


def test_a_copy_of_the_file_alone_is_the_whole_job(journal: Journal, tmp_path: Path) -> None:
    select(journal, [ref("a")])
    journal.append(1, [record(ref("a"))])
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "job.db").write_bytes(journal.path.read_bytes())
    with Journal.open_existing(tmp_path / "copy") as copy:
        assert copy.counts() == Counts(1, 1, 0)


def test_the_answers_of_earlier_attempts_at_the_same_bytes_come_too(journal: Journal) -> None:
    one = ref("1.jpg")
    select(journal, [one])
    for text, sha in (("car", "abc"), ("boat", "def"), ("bus", "abc"), ("tram", "abc")):
        journal.append(1, [record(one, text, sha)])
    journal.append(1, [replace(record(one), answers=())])
    (found,) = journal.records()
    assert found.answers == ()
    assert [[a.data[: a.ends[0]] for a in answers] for answers in found.earlier] == [
        [b"car"],
        [b"bus"],
        [b"tram"],
    ]


def test_an_image_that_failed_since_has_no_record(journal: Journal) -> None:
    select(journal, [ref("a")])
    journal.append(1, [record(ref("a")), Failure(ref("a"), "read", "missing", "gone")])
    assert list(journal.records()) == []
    assert list(journal.attempts()) == []


def test_records_come_in_the_order_of_keys_with_all_answers(journal: Journal) -> None:
    refs = [ref(name) for name in ("b", "a", "c")]
    select(journal, refs)
    (said,) = record(refs[0]).answers
    tile = replace(said, question=Question("<OD>", view=(0.0, 0.0, 5.5, 7.0)))
    region = replace(
        said, question=Question("<REGION_TO_OCR>", "<loc_1>", (1.0, 2.0, 3.0, 4.5), "x")
    )
    written = [
        replace(record(refs[0]), answers=(said, tile, region)),
        replace(record(refs[1]), answers=()),
        record(refs[2]),
    ]
    journal.append(1, written)
    assert list(journal.records()) == [written[1], written[0], written[2]]
    assert [key for key, _ in journal.attempts()] == ["a", "b", "c"]
    assert list(journal.annotated()) == [refs[1], refs[0], refs[2]]


def test_selecting_the_same_images_again_writes_nothing(journal: Journal) -> None:
    refs = [ref(name) for name in ("a", "b")]
    select(journal, refs)
    before = journal.path.read_bytes()
    select(journal, refs)
    assert journal.path.read_bytes() == before
    select(journal, [ref("a", size=7)])
    assert [one.size_bytes for one in journal.selection.pending(retry_failed=False)] == [7]
