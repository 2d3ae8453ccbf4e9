"""What counts where two journals tell of one image."""

import shutil
from pathlib import Path

import pytest
from conftest import annotate, command, rows
from PIL import Image
from written_answers import answer, picture, say

from florence_annotate.journal import Journal
from florence_annotate.types import Failure


@pytest.fixture
def twice(scenes: Path, tmp_path: Path) -> tuple[Path, Path, Path]:
    """A source of three images, and two jobs about it that say different things."""
    source = tmp_path / "in"
    source.mkdir()
    for path in sorted(scenes.glob("*.jpg"))[:3]:
        shutil.copy(path, source)
    outs = tmp_path / "one", tmp_path / "other"
    for out, label in zip(outs, ("first", "second"), strict=True):
        assert annotate(source, out, "-q").code == 0
        say(out, answer(label, 100, 100, 500, 500))
    return source, *outs


def labels_in(out: Path) -> dict[str, list[str]]:
    assert command("export", out, "--format", "jsonl", "-q").code == 0
    return {
        row["key"]: sorted(instance["label"] for instance in row["instances"]) for row in rows(out)
    }


def test_of_the_same_bytes_the_first_named_journal_counts(
    twice: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    _, one, other = twice
    assert command("merge", one, other, "-o", tmp_path / "a", "-q").code == 0
    assert set(map(tuple, labels_in(tmp_path / "a").values())) == {("first",)}
    assert command("merge", other, one, "-o", tmp_path / "b", "-q").code == 0
    assert set(map(tuple, labels_in(tmp_path / "b").values())) == {("second",)}


@pytest.mark.parametrize("is_first", [True, False])
def test_of_other_bytes_those_of_the_file_count(
    twice: tuple[Path, Path, Path], tmp_path: Path, is_first: bool
) -> None:
    source, one, other = twice
    changed = sorted(source.glob("*.jpg"))[1]
    Image.new("RGB", (64, 64), "white").save(changed)
    assert annotate(source, other, "-q").code == 0
    outs = (one, other) if is_first else (other, one)
    done = command("merge", *outs, "-o", tmp_path / "out", "--json")
    assert done.code == 0 and done.json["run"]["undecided"] == []
    with Journal.open_existing(tmp_path / "out") as journal:
        record = journal.record_of(changed.name)
    assert record is not None and (record.width, record.height) == (64, 64)


def test_of_other_bytes_of_which_the_file_has_none_the_first_stays_and_is_told(
    twice: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    source, one, other = twice
    changed = sorted(source.glob("*.jpg"))[1]
    Image.new("RGB", (64, 64), "white").save(changed)
    assert annotate(source, other, "-q").code == 0
    Image.new("RGB", (32, 32), "white").save(changed)
    done = command("merge", other, one, "-o", tmp_path / "out", "--json")
    assert done.json["run"]["undecided"] == [changed.name]
    assert "1 image was annotated with other bytes than in a journal before" in done.err
    assert changed.name in done.err
    with Journal.open_existing(tmp_path / "out") as journal:
        record = journal.record_of(changed.name)
    assert record is not None and (record.width, record.height) == (64, 64)


@pytest.mark.parametrize("is_first", [True, False])
def test_an_image_that_one_journal_failed_at_and_the_other_has_is_annotated(
    twice: tuple[Path, Path, Path], tmp_path: Path, is_first: bool
) -> None:
    _, one, other = twice
    with Journal.open_to_write(one) as journal:
        ref = next(journal.annotated())
        journal.append(1, [Failure(ref, "read", "missing", "for a moment")])
    outs = (one, other) if is_first else (other, one)
    done = command("merge", *outs, "-o", tmp_path / "out", "--json")
    assert done.code == 0 and done.json["failures"] == []
    assert labels_in(tmp_path / "out")[ref.key] == ["second"]


def test_texts_of_an_images_own_that_differ_are_refused_by_name(tmp_path: Path) -> None:
    source, outs = tmp_path / "in", [tmp_path / "one", tmp_path / "other"]
    for number in range(3):
        picture(source / f"{number}.png")
        (source / f"{number}.txt").write_text("a red star")
    options = ("--task", "open-vocabulary", "--texts", "sidecar", "-q")
    assert annotate(source, outs[0], *options).code == 0
    assert command("merge", outs[0], "-o", tmp_path / "same", "-q").code == 0
    (source / "1.txt").write_text("a blue cross")
    assert annotate(source, outs[1], *options).code == 0
    done = command("merge", *outs, "-o", tmp_path / "out")
    assert done.code == 1 and f"{outs[1]} asked" in done.err
    assert "a blue cross" in done.err and "a red star" in done.err and "1.png" in done.err
    refused = annotate(source, tmp_path / "out", *options)
    assert refused.code == 1 and "give the same 'merge' again, or remove the folder" in refused.err
    assert "give the same 'merge' again" in command("status", tmp_path / "out").err
    assert command("merge", outs[0], "-o", tmp_path / "out", "-q").code == 0  # of others: anew
    assert not (tmp_path / "out" / ".merging").exists()
