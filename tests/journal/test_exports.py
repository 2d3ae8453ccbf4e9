"""What the journal knows of exported files."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from written_answers import select

from florence_annotate.journal import (
    Change,
    Counts,
    Exported,
    Journal,
    Made,
    MadeOf,
    Placed,
    Planned,
)
from florence_annotate.journal.exports import Exports
from florence_annotate.types import ImageRef


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.create(tmp_path / "out") as opened:
        opened.runs.begin("{}")
        yield opened


def test_a_restart_forgets_the_job_but_not_what_was_exported(journal: Journal) -> None:
    select(journal, [ImageRef("a", b"/in/a", 1, 1)])
    journal.set_value("fingerprint", {"x": 1})
    export(journal, [("labels/a.txt", Exported("hash", 1, 1))])
    journal.restart()
    assert journal.counts() == Counts(0, 0, 0)
    assert journal.value("fingerprint") is None
    assert dict(journal.exports.files.each()).keys() == {"labels/a.txt"}


MADE = Made({"split": {"train": 1.0}}, ("car",))


def export(
    journal: Journal,
    written: Iterable[tuple[str, Exported]] = (),
    outcome: object = None,
    made: Made = MADE,
) -> None:
    """One that was not announced, since these files lie there already."""
    written = list(written)
    plan(journal, written)
    journal.exports.settle(made, written, [], [], outcome)


def plan(journal: Journal, files: Iterable[tuple[str, Exported]], *changing: str) -> None:
    """Begin an export that has these files, of which some are to be written."""
    journal.exports.assignments.begin()
    planned = Planned(journal)
    for path, file in files:
        planned.add(path, file.content, MadeOf())
    for path in changing:
        planned.set_change(path, Change.WRITE)
    list(planned.contents())  # all is in its table


OLD, NEW = Exported("old", 1, 1), Exported("new", 2, 2)


def test_an_export_under_way_has_both_contents_of_a_file(journal: Journal) -> None:
    export(journal, [("a.txt", OLD), ("b.txt", OLD)], {"formats": ["yolo"]})
    assert journal.exports.outcome() == {"formats": ["yolo"]}
    plan(journal, [("a.txt", OLD), ("b.txt", NEW)], "b.txt")
    journal.exports.announce(MADE, [("b.txt", NEW)])
    assert not journal.exports.is_finished()
    assert dict(journal.exports.files.by_path()) == {"a.txt": [OLD], "b.txt": [NEW, OLD]}
    assert journal.exports.outcome() is None  # as it is found after a kill
    journal.exports.settle(MADE, [], [], [], {"formats": []})
    assert journal.exports.is_finished()
    assert dict(journal.exports.files.each()) == {"a.txt": OLD, "b.txt": NEW}
    assert journal.exports.outcome() == {"formats": []}


def test_what_could_not_be_written_is_known_as_it_was(journal: Journal) -> None:
    linked = Exported("same", 3, 3, "original", Placed.HARD_LINK)
    copied = Exported("same", 3, 4, "original", Placed.COPY)
    before = [("gone.txt", OLD), ("held.txt", OLD), ("images/1.png", linked)]
    export(journal, before)
    files = [("held.txt", NEW), ("images/1.png", copied), ("new.txt", NEW)]
    plan(journal, files, *dict(files))
    journal.exports.announce(MADE, files)
    undone = [("held.txt", "new"), ("images/1.png", "same")]
    journal.exports.settle(MADE, [], undone, ["held.txt", "images/1.png"])
    assert list(journal.exports.files.each()) == [*before[1:], ("new.txt", NEW)]


def test_files_below_a_folder_are_no_others(journal: Journal) -> None:
    paths = ["images.txt", "images/a", "images/b/c", "images0", "labels/a"]
    export(journal, [(path, OLD) for path in paths])
    assert [path for path, _ in journal.exports.files.by_path("images/")] == paths[1:3]


def test_copies_of_an_original_are_found_by_its_bytes(journal: Journal) -> None:
    files = [("b", Exported("y", 1, 1, "x")), ("a", Exported("x", 1, 1)), ("c", OLD)]
    export(journal, files)
    assert [journal.exports.files.made_of(source) for source in ("x", "y")] == [["a", "b"], []]


def test_files_come_in_the_order_of_their_paths(journal: Journal) -> None:
    paths = ["b", "a/é", "a", "a/b", "自"]
    export(journal, ((path, OLD) for path in paths))
    assert [path for path, _ in journal.exports.files.each()] == sorted(paths)


def test_of_more_files_than_are_read_at_once_none_is_missed_and_none_comes_twice(
    journal: Journal,
) -> None:
    # an odd number before them, so that a page ends between the two contents of a file
    paths = [f"{number:04}" for number in range(2500)]
    export(journal, [("0", OLD), *((path, OLD) for path in paths)])
    plan(journal, ((path, NEW) for path in paths), *paths)
    journal.exports.announce(MADE, ((path, NEW) for path in paths))
    both = [(path, file) for path in paths for file in (NEW, OLD)]
    assert list(journal.exports.files.each()) == [("0", OLD), *both]


def test_an_export_that_keeps_no_outcome_forgets_the_one_before(journal: Journal) -> None:
    export(journal, outcome={"x": 1})
    export(journal)
    assert journal.exports.outcome() is None


def outcomes(journal: Journal) -> list[object]:
    return [row["outcome"] for row in journal.all("SELECT outcome FROM exports ORDER BY number")]


def test_the_outcome_of_the_latest_export_alone_is_kept(journal: Journal) -> None:
    for number in range(3):
        plan(journal, file := [("a.txt", Exported(str(number), 1, 1))], "a.txt")
        journal.exports.announce(MADE, file)
        journal.exports.settle(MADE, [], [], [], {"x": number})
    assert outcomes(journal) == [None, None, '{"x": 2}']


def test_of_other_folders_the_latest_outcome_is_kept_too(journal: Journal) -> None:
    export(journal, outcome={"x": 1})
    own = journal.exports
    journal.export_to(None)
    journal.exports.establish()
    export(journal, outcome={"x": 2})
    assert (own.outcome(), journal.exports.outcome()) == ({"x": 1}, {"x": 2})


def test_an_export_that_only_repeats_the_one_before_is_no_further_one(journal: Journal) -> None:
    other = Made({"split": {"train": 0.5, "val": 0.5}}, ("car",))
    for made in (MADE, MADE, other, other, MADE, MADE):
        export(journal, made=made)
    assert len(outcomes(journal)) == 3
    assert journal.exports.policy() == MADE.policy


def test_an_export_that_goes_on_after_a_kill_is_a_further_one(journal: Journal) -> None:
    plan(journal, [("a.txt", OLD)], "a.txt")
    journal.exports.announce(MADE, [("a.txt", OLD)])
    journal.exports = Exports(journal)  # another process
    export(journal)
    assert journal.exports.is_finished()
    assert len(outcomes(journal)) == 2


def test_values_of_the_job_and_outcomes_are_apart(journal: Journal) -> None:
    journal.set_value("fingerprint", 1)
    export(journal, outcome={"x": 1})
    assert journal.value("fingerprint") == 1


def test_copies_are_those_of_the_export_before_also_in_one_process(journal: Journal) -> None:
    export(journal, [("images/train/a.png", Exported("x", 1, 1, "sha", Placed.COPY))])
    assert journal.exports.files.made_of("sha") == ["images/train/a.png"]
    export(journal, [("images/val/a.png", Exported("x", 1, 1, "sha", Placed.COPY))])
    assert journal.exports.files.made_of("sha") == ["images/val/a.png"]
