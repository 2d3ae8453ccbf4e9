"""The names of images in a dataset."""

from collections import Counter
from pathlib import Path

from conftest import annotate
from read_back import (
    image_names,
)
from written_answers import picture


def test_no_image_takes_another_ones_place(tmp_path: Path) -> None:
    source = tmp_path / "in"
    for name in ("a/1.jpg", "b/1.jpg", "1.jpg", "1.png", "images/x.jpg", "images/images/x.jpg"):
        picture(source / name)
    out = tmp_path / "out"
    assert annotate(source, out, "--split", "train=1").code == 0
    names = image_names(out)
    assert len(set(names)) == 6
    assert {"a/1.jpg", "b/1.jpg", "1.jpg"} <= set(names)
    assert not any("/images/" in f"/{name}" for name in names)
    stems = Counter(str(Path(name).with_suffix("")) for name in names)
    assert set(stems.values()) == {1}
    for name in names:
        # what ultralytics does: the last /images/ becomes /labels/, the ending .txt
        path = str(out / "images" / "train" / name)
        assert Path(path).is_file()
        label = "/labels/".join(path.rsplit("/images/", 1)).rsplit(".", 1)[0] + ".txt"
        assert Path(label).is_file()
    assert len(list((out / "labels").rglob("*.txt"))) == 6


def test_a_folder_that_is_named_like_a_label_file_is_in_nobodys_way(tmp_path: Path) -> None:
    for name in ("1.jpg", "1.txt/a.jpg", "2.gif", "2.png/b.jpg"):
        picture(tmp_path / "in" / name)
    out = tmp_path / "out"
    result = annotate(tmp_path / "in", out, "--visuals", "--split", "train=1")
    assert result.code == 0, result.err
    assert len(image_names(out)) == len(set(image_names(out))) == 4
