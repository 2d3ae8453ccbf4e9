"""The file under the journal: made, opened, read as it is, migrated by who writes, refused."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import annotate, command, tree
from older_schemas import forget_spreads, rewrite
from written_answers import answer, select, written_job

import florence_annotate
from florence_annotate.errors import JobError, OutputError
from florence_annotate.journal import FILE_NAME, Journal, holds_journal, lock
from florence_annotate.journal.schema import VERSION
from florence_annotate.types import ImageRef


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.create(tmp_path / "out") as opened:
        opened.runs.begin("{}")
        yield opened


def test_a_folder_without_a_job_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="holds no job"):
        Journal.open_existing(tmp_path)


def test_a_damaged_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / "job.db").write_bytes(b"no database at all" * 100)
    for open_it in (Journal.open_existing, Journal.open_to_write, Journal.create):
        with pytest.raises(JobError, match="is damaged"):
            open_it(tmp_path)


def test_a_newer_journal_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    out = written_job(tmp_path, {"a.png": [answer("car", 1, 2, 3, 4)]})
    with sqlite3.connect(out / "job.db") as connection:
        connection.execute(f"PRAGMA user_version={VERSION + 1}")
    connection.close()
    before = {path: path.read_bytes() for path in out.iterdir()}
    source = tmp_path / "in"
    for arguments in (("export", out), ("status", out), ("run", source, "-o", out)):
        result = command(*arguments, *(["--model", "shapes"] if "run" in arguments else []))
        assert (result.code, len(result.err.splitlines())) == (1, 1)
        assert "another version" in result.err
        assert {path: path.read_bytes() for path in out.iterdir()} == before


def said_of(out: Path) -> list[object]:
    """All that a reader gets of a job, but what older journals did not hold."""
    dataset = [
        replace(image, ref=image.ref._replace(inode=None))
        for image in florence_annotate.open_dataset(out)
    ]
    with Journal.open_existing(out) as journal:
        files = [(path, file[:3]) for path, file in journal.exports.files.each()]
        counts = replace(journal.counts(), beyond_limit=0)
        return [counts, list(journal.failures()), files, dataset]


@pytest.mark.parametrize("version", [1, 2])
def test_an_older_journal_is_read_as_it_is_and_migrated_by_who_writes(
    scenes: Path, tmp_path: Path, version: int
) -> None:
    out = tmp_path / "out"
    assert annotate(scenes, out, "--limit", 2).code == 0
    forget_spreads(out / "job.db")
    assert command("export", out).code == 0
    before = said_of(out)
    rewrite(out / "job.db", version)
    bytes_of_it = (out / "job.db").read_bytes()
    assert said_of(out) == before
    assert command("status", out).code == 0
    assert (out / "job.db").read_bytes() == bytes_of_it
    files = tree(out)
    assert command("export", out).code == 0
    assert tree(out) == files
    assert said_of(out) == before
    with sqlite3.connect(out / "job.db") as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)
    connection.close()
    assert annotate(scenes, out, "--limit", 4).code == 0
    assert sum(1 for _ in florence_annotate.open_dataset(out)) == 4


def test_columns_that_nobody_reads_any_more_go_with_who_writes(
    scenes: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert annotate(scenes, out, "--limit", 2).code == 0
    before, columns = said_of(out), columns_of(out)
    with sqlite3.connect(out / "job.db") as connection:  # as schema 3 was, before it was published
        connection.execute("ALTER TABLE images ADD COLUMN stem TEXT NOT NULL DEFAULT 'x'")
        connection.execute("CREATE INDEX images_by_stem ON images (stem)")
        connection.execute("ALTER TABLE exports ADD COLUMN images BLOB NOT NULL DEFAULT x'00'")
    connection.close()
    bytes_of_it = (out / "job.db").read_bytes()
    assert said_of(out) == before
    assert (out / "job.db").read_bytes() == bytes_of_it
    assert annotate(scenes, out, "--limit", 3).code == 0
    assert command("export", out, "--split", "train=1").code == 0
    assert columns_of(out) == columns
    with Journal.open_existing(out) as journal:
        assert journal.one("SELECT 1 FROM sqlite_master WHERE name = 'images_by_stem'") is None
        numbers = journal.tuples("SELECT number FROM exports ORDER BY number")
    assert [number for (number,) in numbers] == [1, 2, 3]


def columns_of(out: Path) -> dict[str, list[str]]:
    """Table → its columns, by name."""
    with Journal.open_existing(out) as journal:
        tables = journal.tuples("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {
            table: sorted(row["name"] for row in journal.all(f"PRAGMA table_info({table})"))
            for (table,) in tables
        }


@pytest.mark.parametrize("version", [1, 2])
def test_a_migrated_journal_has_the_tables_of_a_new_one(tmp_path: Path, version: int) -> None:
    out = written_job(tmp_path, {"a.png": [answer("car", 1, 2, 3, 4)]})
    columns = columns_of(out)
    rewrite(out / "job.db", version)
    Journal.open_to_write(out).close()
    assert columns_of(out) == columns


def test_a_migration_that_dies_leaves_the_older_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = written_job(tmp_path, {"a.png": [answer("car", 1, 2, 3, 4)]})
    rewrite(out / "job.db", 2)
    before = said_of(out)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("florence_annotate.journal.schema._make_own_target", die)
        with pytest.raises(KeyboardInterrupt):
            Journal.open_to_write(out)
    with sqlite3.connect(out / "job.db") as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)
    connection.close()
    assert said_of(out) == before


def test_three_may_open_an_older_journal_at_once(tmp_path: Path) -> None:
    out = written_job(tmp_path, {"a.png": [answer("car", 1, 2, 3, 4)]})
    rewrite(out / "job.db", 2)
    code = (
        "import sys; from pathlib import Path; from florence_annotate.journal import Journal; "
        "sys.stdin.read(1); Journal.open_to_write(Path(sys.argv[1])).close()"
    )
    openers = [
        subprocess.Popen([sys.executable, "-c", code, out], stdin=subprocess.PIPE) for _ in range(3)
    ]
    for opener in openers:
        assert opener.stdin
        opener.stdin.write(b"x")
        opener.stdin.close()
    assert [opener.wait() for opener in openers] == [0, 0, 0]
    with Journal.open_existing(out) as journal:
        assert journal.counts().annotated == 1


def test_who_reads_can_change_nothing(journal: Journal) -> None:
    with Journal.open_existing(journal.path.parent) as reader:
        with pytest.raises(OutputError, match="readonly"):
            reader.set_value("x", 1)
        assert reader.value("x") is None


class Failing:
    """A connection that fails at a statement, as where its disk is full."""

    def __init__(self, connection: sqlite3.Connection, statement: str) -> None:
        self._connection = connection
        self._statement = statement

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, sql: str, *parameters: Any) -> Any:
        if self._statement in sql:
            raise sqlite3.OperationalError("database or disk is full")
        return self._connection.execute(sql, *parameters)


def fail_at(journal: Journal, statement: str) -> None:
    connection: Any = Failing(journal.connection, statement)
    journal.connection = connection


def test_what_an_export_assigns_meets_a_full_disk(journal: Journal) -> None:
    fail_at(journal, "CREATE TEMP TABLE assigned")
    with pytest.raises(OutputError, match=r"no space is left for temporary files of .*job\.db"):
        journal.exports.assignments.begin()


def test_a_selection_that_meets_a_full_disk_is_none(journal: Journal) -> None:
    journal.selection.note([ImageRef("a", b"/in/a", 1, 1)])
    fail_at(journal, "DROP TABLE listed")
    with pytest.raises(OutputError, match=r"can't write .*job\.db: database or disk is full"):
        journal.selection.take_over()
    assert journal.counts().images == 0


def test_what_cannot_be_read_is_not_said_to_be_written(journal: Journal) -> None:
    fail_at(journal, "SELECT value")
    with pytest.raises(JobError, match=r"can't read .*job\.db: database or disk is full"):
        journal.value("x")


def test_an_error_of_the_sources_is_none_of_the_journal(journal: Journal) -> None:
    def walk() -> Iterator[ImageRef]:
        yield ImageRef("a", b"/in/a", 1, 1)
        raise PermissionError(13, "no", "/in/b")

    with pytest.raises(PermissionError):
        journal.selection.note(walk())


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"can't write .*Not a directory"):
        Journal.create(tmp_path / "file" / "out")


def test_a_slow_reader_is_in_no_writers_way(tmp_path: Path) -> None:
    out = written_job(tmp_path, {f"{n:03}.png": [answer("car", 1, 2, 3, 4)] for n in range(100)})
    images = iter(florence_annotate.open_dataset(out))
    next(images)  # and then it thinks
    with lock.held(out), Journal.open_to_write(out) as writer:
        writer.connection.execute("PRAGMA busy_timeout=0")
        writer.set_value("x", 1)
    assert sum(1 for _ in images) == 99


def test_a_copy_that_is_taken_during_the_selection_is_whole(journal: Journal) -> None:
    refs = [ImageRef(f"{n}.png", b"/x", 1, 1) for n in range(3000)]
    select(journal, refs[:1000])
    copy = journal.path.parent / "copy"
    counted = []

    def copied_on_the_way() -> Iterator[ImageRef]:
        for number, ref in enumerate(refs):
            if number % 1000 == 500:
                copy.mkdir(exist_ok=True)
                shutil.copy(journal.path, copy)
                with Journal.open_existing(copy) as taken:
                    counted.append(taken.counts().images)
            yield ref

    select(journal, copied_on_the_way())
    assert counted == [1000] * 3
    assert journal.counts().images == 3000


def test_a_link_in_the_place_of_a_new_journal_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").touch()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / FILE_NAME).symlink_to(tmp_path / "victim")
    with pytest.raises(JobError, match=r"job\.db is a link"):
        Journal.create(tmp_path / "out")
    assert (tmp_path / "victim").read_bytes() == b""


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
