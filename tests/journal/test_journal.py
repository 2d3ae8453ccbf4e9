import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from florence_annotate.errors import JobError, LockedError
from florence_annotate.journal import Counts, Exported, Journal, lock
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
        opened.begin_run("{}")
        yield opened


def test_a_record_comes_back_as_it_was(journal: Journal) -> None:
    written = record(ref("é.jpg"), "自動車")
    journal.select([written.ref])
    journal.append(1, [written])
    assert list(journal.records()) == [written]


def test_the_latest_attempt_counts_and_none_is_changed(journal: Journal) -> None:
    one = ref("1.jpg")
    journal.select([one])
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
    journal.select(refs)
    journal.append(1, [record(refs[1]), Failure(refs[2], "read", "empty", "")])
    assert [r.key for r in journal.pending(retry_failed=False, page=1)] == ["b", "c"]
    assert [r.key for r in journal.pending(retry_failed=True)] == ["b", "c", "d"]
    assert journal.count_pending(retry_failed=True) == 3


def test_pictures_may_join_and_leave(journal: Journal) -> None:
    journal.select([ref("a"), ref("b")])
    journal.append(1, [record(ref("a")), record(ref("b"))])
    journal.select([ref("b"), ref("c")])
    assert [r.ref.key for r in journal.records()] == ["b"]
    assert journal.counts() == Counts(2, 1, 0)
    journal.select([ref("a"), ref("b")])
    assert [r.ref.key for r in journal.records()] == ["a", "b"]


def test_a_touched_picture_is_not_asked_again_when_its_bytes_are_the_same(
    journal: Journal,
) -> None:
    journal.select([ref("a")])
    journal.append(1, [record(ref("a"))])
    journal.select([ref("a", mtime=2)])
    assert journal.count_pending(retry_failed=False) == 1
    ((touched, sha),) = journal.changed_stamps()
    assert (touched.mtime_ns, sha) == (2, "abc")
    journal.same_content(touched)
    assert journal.count_pending(retry_failed=False) == 0
    (kept,) = journal.records()
    assert (kept.ref.mtime_ns, kept.answers) == (2, record(ref("a")).answers)


def test_a_torn_transaction_leaves_nothing(journal: Journal) -> None:
    journal.select([ref("a"), ref("b")])
    broken = record(ref("b"))
    object.__setattr__(broken, "answers", (object(),))
    with pytest.raises(AttributeError):
        journal.append(1, [record(ref("a")), broken])
    assert journal.counts() == Counts(2, 0, 0)


def test_a_copy_of_the_file_alone_is_the_whole_job(journal: Journal, tmp_path: Path) -> None:
    journal.select([ref("a")])
    journal.append(1, [record(ref("a"))])
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "job.db").write_bytes(journal.path.read_bytes())
    with Journal.open_existing(tmp_path / "copy") as copy:
        assert copy.counts() == Counts(1, 1, 0)


def test_a_restart_forgets_the_job_but_not_what_was_exported(journal: Journal) -> None:
    journal.select([ref("a")])
    journal.set_value("fingerprint", {"x": 1})
    journal.exports.settle([("labels/a.txt", Exported("hash", 1, 1))], [])
    journal.restart()
    assert journal.counts() == Counts(0, 0, 0)
    assert journal.value("fingerprint") is None
    assert set(journal.exports.files()) == {"labels/a.txt"}


def test_a_folder_without_a_job_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="holds no job"):
        Journal.open_existing(tmp_path)


def test_a_damaged_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / "job.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(JobError, match="damaged or no journal"):
        Journal.open_existing(tmp_path)


def test_a_journal_of_another_version_is_refused(journal: Journal) -> None:
    connection = sqlite3.connect(journal.path)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(JobError, match="another version"):
        Journal.open_existing(journal.path.parent)


def test_a_second_writer_is_refused_and_told_who_holds_the_folder(tmp_path: Path) -> None:
    hold = (
        "import sys, pathlib; from florence_annotate.journal import lock\n"
        f"with lock.held(pathlib.Path({str(tmp_path)!r})):\n"
        "    print('held', flush=True); sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(LockedError, match=f"process {holder.pid} on "), lock.held(tmp_path):
        pass
    holder.kill()
    holder.communicate()
    with lock.held(tmp_path):  # the system let go of it
        pass
    assert not (tmp_path / "job.lock").exists()
