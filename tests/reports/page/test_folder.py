"""The folder of a report takes what is ours and touches nothing else."""

from pathlib import Path

import pytest

from florence_annotate.errors import OutputError, UsageError
from florence_annotate.reports.page.folder import MARK, Folder, is_of_report

THUMBNAIL = f"thumbnails/ab/ab{'0' * 62}.jpg"
OTHER_THUMBNAIL = f"thumbnails/cd/cd{'0' * 62}.jpg"
CHUNK = f"chunk-0000-{'1' * 16}.js"


def names(folder: Path) -> set[str]:
    return {each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file()}


def test_what_is_written_can_be_read_and_is_known_as_ours(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "data")
    assert is_of_report(bytes(tmp_path / "data")) and not is_of_report(bytes(tmp_path))
    assert not folder.has(THUMBNAIL) and folder.read(THUMBNAIL) is None
    folder.write(THUMBNAIL, b"small")
    assert folder.has(THUMBNAIL) and folder.read(THUMBNAIL) == b"small"
    assert Folder(tmp_path / "data").read(THUMBNAIL) == b"small"


def test_only_what_reports_wrote_and_need_no_more_is_removed(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "data")
    for name in (THUMBNAIL, OTHER_THUMBNAIL, CHUNK):
        folder.write(name, b"x")
    (tmp_path / "data" / f"{CHUNK}.part").write_bytes(b"of a command that was killed")
    for foreign in ("holiday.jpg", "chunk-0000.js", "thumbnails/ab/mine.jpg", "notes/a.txt"):
        (tmp_path / "data" / foreign).parent.mkdir(exist_ok=True)
        (tmp_path / "data" / foreign).write_bytes(b"mine")
    folder.remove_all_but({THUMBNAIL})
    mine = {"holiday.jpg", "chunk-0000.js", "thumbnails/ab/mine.jpg", "notes/a.txt"}
    assert names(tmp_path / "data") == {MARK, THUMBNAIL, *mine}
    assert not (tmp_path / "data" / "thumbnails" / "cd").exists()
    folder.remove_all_but(())
    assert names(tmp_path / "data") == {MARK, *mine}


def test_a_folder_of_which_nothing_is_needed_goes(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "data")
    folder.write(THUMBNAIL, b"x")
    folder.remove_all_but(())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    Folder(tmp_path / "data").remove_all_but(())  # an empty one is taken
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "holiday.jpg").write_bytes(b"mine")
    with pytest.raises(UsageError, match="holds other files"):
        Folder(tmp_path / "data")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError):
        Folder(tmp_path / "file")


@pytest.mark.parametrize("link", ["", "thumbnails", "thumbnails/ab"])
def test_no_link_to_a_folder_is_followed(link: str, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / f"ab{'0' * 62}.jpg").write_bytes(b"theirs")
    if link:
        Folder(tmp_path / "data")
        (tmp_path / "data" / link).parent.mkdir(exist_ok=True)
    (tmp_path / "data" / link).symlink_to(elsewhere)
    with pytest.raises(OutputError, match="is a link"):
        Folder(tmp_path / "data").write(THUMBNAIL, b"x")
    if link:
        Folder(tmp_path / "data").remove_all_but(())
    assert names(elsewhere) == {f"ab{'0' * 62}.jpg"}


def test_a_link_in_the_place_of_a_file_is_not_read_and_is_replaced(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"theirs")
    folder = Folder(tmp_path / "data")
    folder.write(THUMBNAIL, b"x")
    (tmp_path / "data" / THUMBNAIL).unlink()
    (tmp_path / "data" / THUMBNAIL).symlink_to(secret)
    assert not folder.has(THUMBNAIL) and folder.read(THUMBNAIL) is None
    folder.write(THUMBNAIL, b"ours")
    assert secret.read_bytes() == b"theirs" and folder.read(THUMBNAIL) == b"ours"
