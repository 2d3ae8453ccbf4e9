import os
from collections.abc import Callable
from pathlib import Path

import pytest

from florence_annotate.images.absence import Absence, Absent, look_for


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder whose image `day/1.jpg` has a neighbour, and whose folder has one too."""
    (tmp_path / "in" / "day").mkdir(parents=True)
    for name in ("0.jpg", "day/1.jpg", "day/2.jpg"):
        (tmp_path / "in" / name).touch()
    return tmp_path / "in"


def look(root: Path) -> Absent | None:
    return look_for(os.fsencode(root / "day" / "1.jpg"), os.fsencode(root))


def delete_the_folder(root: Path) -> None:
    for name in ("1.jpg", "2.jpg"):
        (root / "day" / name).unlink()
    (root / "day").rmdir()


def test_an_image_that_is_there_is_not_absent(root: Path) -> None:
    assert look(root) is None


@pytest.mark.parametrize("delete", [delete_the_folder, lambda root: (root / "day/1.jpg").unlink()])
def test_what_was_deleted_is_gone(root: Path, delete: Callable[[Path], None]) -> None:
    delete(root)
    assert look(root) == Absent(Absence.GONE)


def test_a_link_to_an_image_that_leads_nowhere_is_gone_and_one_to_a_folder_has_failed(
    root: Path,
) -> None:
    (root / "day" / "1.jpg").unlink()
    (root / "day" / "1.jpg").symlink_to("nowhere")
    assert look(root) == Absent(Absence.GONE)
    (root / "day").rename(root / "night")
    (root / "day").symlink_to("nowhere")
    assert look(root) == Absent(Absence.DANGLING, os.fsencode(root / "day"))


def test_a_folder_that_is_empty_or_holds_what_is_hidden_has_failed(root: Path) -> None:
    delete_the_folder(root)
    (root / "day").mkdir()
    (root / "day" / ".nfs01").touch()
    assert look(root) == Absent(Absence.EMPTY, os.fsencode(root / "day"))


def test_a_source_is_missing_where_its_folder_is(root: Path) -> None:
    root.rename(root.with_name("elsewhere"))
    assert look(root) == Absent(Absence.MISSING, os.fsencode(root))


def test_a_folder_that_became_a_file_has_failed(root: Path) -> None:
    delete_the_folder(root)
    (root / "day").touch()
    assert look(root) == Absent(Absence.NO_FOLDER, os.fsencode(root / "day"))
    root.rename(root.with_name("elsewhere"))
    root.touch()
    assert look(root) == Absent(Absence.NO_FOLDER, os.fsencode(root))


@pytest.mark.parametrize("at", ["day/1.jpg", "day"])
def test_what_the_system_cannot_look_at_has_failed(
    root: Path, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_at = os.stat

    def fail(path: bytes) -> os.stat_result:
        if path.endswith(os.fsencode(at)):
            raise OSError(107, "Transport endpoint is not connected")
        return look_at(path)

    delete_the_folder(root)
    monkeypatch.setattr(os, "stat", fail)
    assert look(root) == Absent(Absence.UNREADABLE, os.fsencode(root / "day"))
