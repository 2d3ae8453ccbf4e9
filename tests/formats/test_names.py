"""The names of images in a dataset."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from conftest import annotate
from hypothesis import given
from hypothesis import strategies as st
from read_back import image_names
from written_answers import picture

from florence_annotate.formats.names import Names


def names_of(*keys: str, taken: Iterable[str] = ()) -> dict[str, str]:
    """The names of new images with these keys, beside names that others have."""
    names = Names(keys, taken, set())
    return {key: names.of(key) for key in sorted(keys)}


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


def test_a_safe_key_is_the_name() -> None:
    keys = ["1.jpg", "a/b c/é.PNG", "a.tar.webp", "image/s.jpg"]
    assert names_of(*keys) == {key: key for key in keys}


def test_what_a_reader_would_stumble_over_is_changed() -> None:
    names = names_of("images/1.jpg", ".a/1.jpg", "a\\x07.jpg", "f.gif", "x" * 251 + ".jpg")
    assert names["f.gif"] == "f.png"
    assert names["images/1.jpg"].startswith("images_/1-")
    assert names[".a/1.jpg"].startswith("_a/1-")
    assert names["a\\x07.jpg"].startswith("a_x07-")
    assert all(len(name) <= 250 for name in names.values())


def test_a_new_image_makes_room_for_the_names_that_others_have() -> None:
    names = names_of("a.jpg", "1.txt/b.jpg", "c.jpg", taken=["a.png", "1.jpg", "c.txt/d.jpg"])
    assert names["a.jpg"].startswith("a-")
    assert names["1.txt/b.jpg"].startswith("1.txt_/b-")
    assert names["c.jpg"].startswith("c-")


PARTS = st.sampled_from(["a", "A", "images", "1.txt", "1", ".h", "metadata.jsonl", "ß", "2.xml"])
ENDINGS = st.sampled_from([".jpg", ".JPG", ".png", ".gif", "", ".tar.gz", ".txt"])


@given(st.sets(st.builds("{}{}".format, st.lists(PARTS, min_size=1).map("/".join), ENDINGS)))
def test_no_two_images_and_no_two_of_their_files_meet(keys: set[str]) -> None:
    stems = [name.rpartition(".")[0].casefold() for name in names_of(*keys).values()]
    assert len(set(stems)) == len(keys)
