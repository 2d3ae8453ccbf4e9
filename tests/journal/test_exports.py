"""What the journal knows of exported files."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from florence_annotate.journal import Counts, Exported, Journal, Made
from florence_annotate.types import ImageRef


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.create(tmp_path / "out") as opened:
        opened.begin_run("{}")
        yield opened


def test_a_restart_forgets_the_job_but_not_what_was_exported(journal: Journal) -> None:
    journal.selection.replace([ImageRef("a", b"/in/a", 1, 1)])
    journal.set_value("fingerprint", {"x": 1})
    export(journal, [("labels/a.txt", Exported("hash", 1, 1))])
    journal.restart()
    assert journal.counts() == Counts(0, 0, 0)
    assert journal.value("fingerprint") is None
    assert set(journal.exports.files()) == {"labels/a.txt"}


MADE = Made({"split": {"train": 1.0}}, ("car",))


def export(
    journal: Journal,
    written: Iterable[tuple[str, Exported]] = (),
    outcome: object = None,
    gone: Iterable[tuple[str, Exported]] = (),
) -> None:
    """One that was not announced."""
    journal.exports.assignments.begin()
    journal.exports.settle(MADE, written, gone, outcome)


OLD, NEW = Exported("old", 1, 1), Exported("new", 2, 2)


def test_an_export_under_way_has_both_contents_of_a_file(journal: Journal) -> None:
    export(journal, [("a.txt", OLD), ("b.txt", OLD)], {"formats": ["yolo"]})
    assert journal.exports.outcome() == {"formats": ["yolo"]}
    journal.exports.assignments.begin()
    journal.exports.announce(MADE, [("b.txt", NEW)])
    assert not journal.exports.is_finished()
    assert journal.exports.files() == {"a.txt": [OLD], "b.txt": [NEW, OLD]}
    assert journal.exports.outcome() is None  # as it is found after a kill
    journal.exports.settle(MADE, [], [("b.txt", OLD)], {"formats": []})
    assert journal.exports.is_finished()
    assert dict(journal.exports.each()) == {"a.txt": OLD, "b.txt": NEW}
    assert journal.exports.outcome() == {"formats": []}


def test_files_come_in_the_order_of_their_paths(journal: Journal) -> None:
    paths = ["b", "a/é", "a", "a/b", "自"]
    export(journal, ((path, OLD) for path in paths))
    assert [path for path, _ in journal.exports.each()] == sorted(paths)


def test_an_export_that_keeps_no_outcome_forgets_the_one_before(journal: Journal) -> None:
    export(journal, outcome={"x": 1})
    export(journal)
    assert journal.exports.outcome() is None


def test_values_of_the_job_and_outcomes_are_apart(journal: Journal) -> None:
    journal.set_value("fingerprint", 1)
    export(journal, outcome={"x": 1})
    assert journal.value("fingerprint") == 1
