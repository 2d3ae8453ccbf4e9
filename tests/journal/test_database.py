"""The file under the journal: made, opened, refused."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from florence_annotate.errors import JobError
from florence_annotate.journal import FILE_NAME, Journal


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.create(tmp_path / "out") as opened:
        opened.begin_run("{}")
        yield opened


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


def test_a_link_in_the_place_of_a_new_journal_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").touch()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / FILE_NAME).symlink_to(tmp_path / "victim")
    with pytest.raises(JobError, match=r"job\.db is a link"):
        Journal.create(tmp_path / "out")
    assert (tmp_path / "victim").read_bytes() == b""
