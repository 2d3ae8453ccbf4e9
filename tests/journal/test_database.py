"""The file under the journal: made, opened, refused."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from florence_annotate.errors import JobError
from florence_annotate.journal import Journal, holds_journal


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.create(tmp_path / "out") as opened:
        opened.begin_run("{}")
        yield opened


def test_a_folder_without_a_job_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="holds no job"):
        Journal.open_to_write(tmp_path)


def test_a_damaged_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / "job.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(JobError, match="damaged or no journal"):
        Journal.open_to_write(tmp_path)


def test_a_journal_of_another_version_is_refused(journal: Journal) -> None:
    connection = sqlite3.connect(journal.path)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(JobError, match="another version"):
        Journal.open_to_write(journal.path.parent)


def test_a_journal_is_known_without_opening_it_as_a_database(journal: Journal) -> None:
    folder = journal.path.parent
    assert holds_journal(bytes(folder))
    assert not holds_journal(bytes(folder.parent))
    for number, content in enumerate((b"", b"no database" * 20)):
        other = folder.parent / str(number)
        other.mkdir()
        (other / "job.db").write_bytes(content)
        assert not holds_journal(bytes(other))
    fifo = folder.parent / "fifo"
    fifo.mkdir()
    os.mkfifo(fifo / "job.db")
    assert not holds_journal(bytes(fifo))
