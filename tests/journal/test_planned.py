"""What an export is about to make of its folder."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from florence_annotate.journal import Change, Exported, Journal, Made, MadeOf, Placed, Planned

NONE = MadeOf()


@pytest.fixture
def planned(tmp_path: Path) -> Iterator[Planned]:
    with Journal.create(tmp_path) as journal:
        yield Planned(journal)


def test_files_are_read_in_the_order_of_their_paths_however_many_there_are(
    planned: Planned,
) -> None:
    paths = [f"labels/{number % 3}/{number}.txt" for number in range(10_000)]
    for path in paths:
        planned.add(path, f"of {path}", NONE)
    assert list(planned.contents()) == [(path, f"of {path}") for path in sorted(paths)]


def test_a_change_is_that_of_one_path_and_may_be_set_while_files_are_read(
    planned: Planned,
) -> None:
    paths = [f"{number:05}" for number in range(9_000)]
    for path in paths:
        planned.add(path, "x", NONE)
    for file in planned.each(Change.NONE):
        planned.set_change(file.path, Change.WRITE if file.path < "00010" else Change.NOTE)
    planned.set_change("00003", Change.HOLD)
    planned.set_change("gone", Change.REMOVE)
    assert [file.path for file in planned.each(Change.WRITE)] == [*paths[:3], *paths[4:10]]
    assert not planned.has(Change.NONE)
    removed = planned.at("gone")
    assert removed is not None and (removed.content, removed.change) == (None, Change.REMOVE)
    assert len(dict(planned.contents())) == len(paths)


def test_files_below_a_folder_are_told_from_those_beside_it(planned: Planned) -> None:
    for path in ("images.txt", "images/a", "images/b/c", "images0"):
        planned.add(path, "x", NONE)
    below = [file.path for file in planned.each(Change.NONE, below="images/")]
    assert below == ["images/a", "images/b/c"]
    assert not planned.has(Change.NONE, below="labels/")


def test_images_are_found_by_their_originals(planned: Planned) -> None:
    planned.add("images/a", "x", MadeOf("first", Placed.COPY))
    assert planned.has_image_of("first")
    planned.add("images/b", "x", MadeOf("second", Placed.COPY))
    planned.set_change("images/b", Change.HOLD)
    assert planned.has_image_of("second")
    assert not planned.has_image_of("second", but=[Change.HOLD])
    assert not planned.has_image_of("third")


def test_no_path_comes_twice(planned: Planned) -> None:
    planned.add("a", "x", NONE)
    planned.add("a", "y", NONE)
    with pytest.raises(sqlite3.IntegrityError):
        list(planned.contents())


@pytest.mark.parametrize("below", ["", "images/"])
def test_to_read_all_files_takes_steps_by_their_number_alone(tmp_path: Path, below: str) -> None:
    """And not a walk from the beginning for each page."""

    def count_steps(files: int) -> int:
        steps = 0

        def count() -> None:
            nonlocal steps
            steps += 1

        with Journal.create(tmp_path / str(files)) as journal:
            planned = Planned(journal)
            written = [(f"images/{n:06}.png", Exported("x", 1, 1)) for n in range(files)]
            for path, file in written:
                planned.add(path, file.content, NONE)
            journal.exports.assignments.begin()
            journal.exports.settle(Made({}, ()), written, [], [])
            journal.connection.set_progress_handler(count, 100)
            assert sum(1 for _ in planned.each(Change.NONE, below=below)) == files
            assert sum(1 for _ in journal.exports.files.each(below)) == files
            journal.connection.set_progress_handler(None, 100)
        return steps

    assert count_steps(16_000) < 6 * count_steps(4_000)
