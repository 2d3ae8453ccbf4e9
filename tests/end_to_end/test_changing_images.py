"""Images whose files become others, or only look so."""

import os
import shutil
from pathlib import Path

from conftest import annotate
from PIL import Image

from florence_annotate.journal import Journal


def test_another_source_with_the_same_names_sizes_and_times_is_asked_anew(tmp_path: Path) -> None:
    for folder, colour in (("x/in", "red"), ("y/in", "blue")):
        (tmp_path / folder).mkdir(parents=True)
        Image.new("RGB", (40, 40), colour).save(tmp_path / folder / "1.bmp")
        os.utime(tmp_path / folder / "1.bmp", (1, 1))
    out = tmp_path / "out"
    assert annotate(tmp_path / "x/in", out, "-q").code == 0
    result = annotate(tmp_path / "y/in", out, "--split", "train=1", "--json")
    assert result.json["run"]["annotated"] == 1
    image = out / "images/train/1.bmp"
    assert image.read_bytes() == (tmp_path / "y/in/1.bmp").read_bytes()


def test_swapped_images_of_one_size_and_time_are_asked_anew(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for name, colour in (("a.bmp", "red"), ("b.bmp", "blue")):
        Image.new("RGB", (40, 40), colour).save(source / name)
        os.utime(source / name, (1, 1))
    assert annotate(source, out, "-q").code == 0
    (source / "a.bmp").rename(source / "c")
    (source / "b.bmp").rename(source / "a.bmp")
    (source / "c").rename(source / "b.bmp")
    assert annotate(source, out, "--dry-run", "--json").json["pending"] == 2
    assert annotate(source, out, "--json").json["run"]["annotated"] == 2
    for name in ("a.bmp", "b.bmp"):
        (image,) = (out / "images").rglob(name)
        assert image.read_bytes() == (source / name).read_bytes()


def test_other_files_with_the_same_bytes_are_not_asked_again(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for number in range(3):
        Image.new("RGB", (40 + number, 40)).save(source / f"{number}.png")
    assert annotate(source, out, "-q").code == 0
    for path in sorted(source.iterdir()):
        shutil.copy(path, tmp_path / "copy")
        (tmp_path / "copy").replace(path)
    assert annotate(source, out, "--dry-run", "--json").json["pending"] == 0
    answers = count_answers(out)
    assert annotate(source, out, "--json").json["run"]["annotated"] == 0
    assert count_answers(out) == answers
    assert annotate(source, out, "--dry-run", "--json").json["pending"] == 0


def count_answers(out: Path) -> int:
    with Journal.open_existing(out) as journal:
        row = journal.one("SELECT count(*) AS n FROM answers")
    assert row is not None
    return int(row["n"])
