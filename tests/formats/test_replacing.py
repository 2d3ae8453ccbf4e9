"""What an export does with what lies in the output folder."""

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import annotate, command, tree
from read_back import assert_noted, image_names
from written_answers import picture

from florence_annotate.formats.holding import CHANGED, Held
from florence_annotate.formats.moving import Moving
from florence_annotate.formats.replacing import Replacing
from florence_annotate.formats.staging import Staging
from florence_annotate.journal import Journal, Made, Planned


def test_formats_that_are_no_longer_asked_for_leave(dataset: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(dataset, tmp_path / "out", symlinks=True))
    assert command("export", out, "--format", "coco", "--no-visuals").code == 0
    assert not (out / "labels").exists()
    assert not (out / "data.yaml").exists()
    assert not (out / "visuals").exists()
    assert (out / "annotations" / "instances_train.json").exists()


def test_a_corrected_file_is_not_overwritten(dataset: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(dataset, tmp_path / "out", symlinks=True))
    label = next((out / "labels").rglob("*.txt"))
    label.write_text("0 0.5 0.5 0.1 0.1\n")
    others = {path: path.read_text() for path in (out / "labels").rglob("*.txt")}
    result = command("export", out, "--min-score", 1)
    assert result.code == 0
    assert "1 file left as found" in result.out
    assert f"{label.relative_to(out)}: it was changed since" in result.out
    assert label.read_text() == "0 0.5 0.5 0.1 0.1\n"
    assert {path for path in others if path.read_text()} == {label}  # the model was less sure
    assert command("export", out, "--min-score", 0.5, "--overwrite").code == 0
    assert label.read_text() != "0 0.5 0.5 0.1 0.1\n"


def test_a_corrected_file_is_not_removed_either(dataset: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(dataset, tmp_path / "out", symlinks=True))
    (out / "data.yaml").write_text("mine")
    result = command("export", out, "--format", "coco", "--json")
    assert (result.code, list(result.json["held"])) == (0, ["data.yaml"])
    assert (out / "data.yaml").read_text() == "mine"
    assert not (out / "labels").exists()


def test_an_edited_image_that_left_the_dataset_stays_and_is_said_first(tmp_path: Path) -> None:
    names = ("1.png", "2.png", "3.png", "4.png", "5.png")
    for number, name in enumerate(names):
        picture(tmp_path / "in" / name, (40 + number, 40))
    out = tmp_path / "out"
    options = ("--images", "copy", "--split", "train=1")
    assert annotate(tmp_path / "in", out, *options).code == 0
    for name in names[:4]:
        (out / "labels/train" / name).with_suffix(".txt").write_text("0 0.5 0.5 0.1 0.1\n")
    edited = out / "images/train/5.png"
    picture(edited, (80, 80))
    (tmp_path / "in/5.png").unlink()
    result = annotate(tmp_path / "in", out, *options)
    assert result.code == 0, result.err
    words = "5 files left as found: images/train/5.png: it was changed since it was written, and is"
    assert words in result.out
    assert "YOLO would learn that there is nothing in it: move it away" in result.out
    assert edited.exists()
    assert command("export", out, "--overwrite").code == 0
    assert image_names(out) == ["1.png", "2.png", "3.png", "4.png"]
    assert not edited.exists()
    assert len(list((out / "orphans").iterdir())) == 1


def test_a_corrected_file_that_was_backed_up_by_a_link_is_protected_too(
    dataset: Path, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(dataset, tmp_path / "out", symlinks=True))
    label = next((out / "labels").rglob("*.txt"))
    label.write_text("0 0.5 0.5 0.1 0.1\n")
    os.link(label, tmp_path / "backup.txt")
    assert command("export", out, "--min-score", 0.5).code == 0
    assert label.read_text() == "0 0.5 0.5 0.1 0.1\n"


def images_of(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "images").rglob("*.png")}


def test_the_datasets_copies_stay_when_the_originals_are_gone(tmp_path: Path) -> None:
    for number in range(4):
        picture(tmp_path / "in" / f"{number}.png", (40 + number, 40))
    out = tmp_path / "out"
    assert annotate(tmp_path / "in", out).code == 0
    before = images_of(out)
    shutil.rmtree(tmp_path / "in")
    result = command("export", out, "--split", "train=0.5,val=0.5", "--seed", 3, "--json")
    assert result.code == 0, result.err
    assert images_of(out) == before
    assert result.json["left_out"] == {}


def test_the_last_copy_of_a_image_is_never_deleted(tmp_path: Path) -> None:
    for number in range(2):
        picture(tmp_path / "in" / f"{number}.png", (40 + number, 40))
    out = tmp_path / "out"
    assert annotate(tmp_path / "in", out).code == 0
    bytes_of_it = (tmp_path / "in" / "1.png").read_bytes()
    (tmp_path / "in" / "1.png").unlink()
    assert annotate(tmp_path / "in", out).code == 0
    assert image_names(out) == ["0.png"]
    (orphan,) = (out / "orphans").iterdir()
    assert orphan.read_bytes() == bytes_of_it


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.create(tmp_path / "out") as opened:
        yield opened


def write(journal: Journal, files: dict[str, str], *, overwrite: bool = False) -> Held:
    """Put an export of these files into the journal's folder; returns what is held."""
    out = journal.path.parent
    with Staging(out, Planned(journal)) as staging:
        for path, text in files.items():
            staging.write_text(path, text)
        staging.finish()
        replacing = Replacing(out, journal)
        journal.exports.assignments.begin()
        held = replacing.compare(staging, overwrite=overwrite)
        Moving(replacing, staging, held).commit(Made({}, ()))
    return held


def texts(journal: Journal) -> dict[str, str]:
    return {name: content.decode() for name, content in tree(journal.path.parent).items()}


FIRST = {"data.yaml": "1", "labels/train/a/1.txt": "1", "labels/train/a/2.txt": "2", "x/y/z": "3"}


def test_folders_come_and_go_with_their_files(journal: Journal) -> None:
    write(journal, FIRST)
    assert texts(journal) == FIRST
    assert_noted(journal)
    second = {"data.yaml": "1", "labels/train/a/1.txt": "7", "labels/train/b/c/3.txt": "3"}
    write(journal, second)
    assert texts(journal) == second
    assert_noted(journal)
    assert not (journal.path.parent / "x").exists()
    write(journal, FIRST)
    assert texts(journal) == FIRST
    assert_noted(journal)


def test_what_is_equal_is_not_touched(journal: Journal) -> None:
    write(journal, FIRST)
    inodes = {path: (journal.path.parent / path).stat().st_ino for path in FIRST}
    write(journal, FIRST)
    assert inodes == {path: (journal.path.parent / path).stat().st_ino for path in FIRST}


def test_a_file_that_was_only_touched_is_known_again(journal: Journal) -> None:
    write(journal, FIRST)
    os.utime(journal.path.parent / "data.yaml", (5, 5))
    write(journal, FIRST)
    assert_noted(journal)


def test_a_file_of_the_same_content_is_taken_for_ours(journal: Journal) -> None:
    (journal.path.parent / "data.yaml").write_text("1")
    write(journal, FIRST)
    assert_noted(journal)


def test_a_file_of_somebody_is_in_the_way_until_it_may_be_lost(journal: Journal) -> None:
    out = journal.path.parent
    (out / "data.yaml").write_text("mine")
    for _ in range(2):
        assert write(journal, FIRST) == {"data.yaml": CHANGED}
        assert texts(journal)["data.yaml"] == "mine"
    assert write(journal, FIRST, overwrite=True) == {}
    assert texts(journal) == FIRST


@pytest.mark.parametrize("moved", range(4))
def test_an_export_that_died_on_the_way_is_finished_by_the_next(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, moved: int
) -> None:
    """After so many files were moved into place."""
    write(journal, FIRST)
    second = dict.fromkeys([*FIRST, "new.txt"], "second")
    replace, left = os.replace, [moved]

    def die(*paths: str) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        replace(*paths)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", die)
        with pytest.raises(KeyboardInterrupt):
            write(journal, second)
    third = FIRST | {"labels/train/a/1.txt": "third"}
    write(journal, third)
    assert texts(journal) == third
    assert_noted(journal)


def test_a_folder_that_somebody_removed_is_written_again(journal: Journal) -> None:
    write(journal, FIRST)
    shutil.rmtree(journal.path.parent / "labels")
    write(journal, FIRST)
    assert texts(journal) == FIRST
    assert_noted(journal)


def refuse(monkeypatch: pytest.MonkeyPatch, name: str, path: Path) -> None:
    """From now on a file may not be removed (`unlink`), or nothing put in its place (`replace`)."""
    change = getattr(os, name)

    def fail(*paths: Any, **options: Any) -> None:
        if Path(paths[-1]) == path:
            raise PermissionError(errno.EACCES, "Permission denied")
        change(*paths, **options)

    monkeypatch.setattr(os, name, fail)


@pytest.mark.parametrize(
    ("how", "path"), [("unlink", "x/y/z"), ("replace", "labels/train/a/1.txt")]
)
def test_a_file_that_may_not_be_changed_holds_up_itself_alone(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, how: str, path: str
) -> None:
    write(journal, FIRST)
    second = {"data.yaml": "2", "labels/train/a/1.txt": "9", "labels/train/a/2.txt": "9"}
    with monkeypatch.context() as patched:
        refuse(patched, how, journal.path.parent / path)
        assert write(journal, second) == {path: "Permission denied"}
    assert texts(journal) == second | {path: FIRST[path]}
    assert_noted(journal)
    assert write(journal, second) == {}
    assert texts(journal) == second
    assert_noted(journal)


def test_a_description_that_may_not_be_removed_holds_up_labels_of_other_classes(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def described(name: str) -> dict[str, str]:
        return {"data.yaml": f"names: {{0: {name}}}", "labels/train/1.txt": name, "x": name}

    write(journal, described("cat"))
    with monkeypatch.context() as patched:
        refuse(patched, "unlink", journal.path.parent / "data.yaml")
        held = write(journal, described("dog"))
        assert held == dict.fromkeys(("data.yaml", "labels/train/1.txt"), "Permission denied")
    assert texts(journal) == described("cat") | {"x": "dog"}
    assert_noted(journal)
    assert write(journal, described("dog")) == {}
    assert texts(journal) == described("dog")


@pytest.mark.parametrize("changed", ["labels/train/a/1.txt", "images/train/1.txt"])
def test_there_is_no_description_while_what_it_describes_moves(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    files = FIRST | {"images/train/1.txt": "1"}
    write(journal, files)
    description, replace = journal.path.parent / "data.yaml", os.replace
    seen = []

    def look(source: str, target: str) -> None:
        seen.append((Path(target).name, description.exists()))
        replace(source, target)

    monkeypatch.setattr(os, "replace", look)
    write(journal, files | {changed: "2"})
    assert seen == [(Path(changed).name, False), ("data.yaml", False)]
    assert_noted(journal)
    seen.clear()
    write(journal, files | {changed: "2", "x/y/z": "2"})
    assert seen == [("z", True)]
