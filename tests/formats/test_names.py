"""The names of images in a dataset."""

from collections import Counter
from pathlib import Path

from conftest import annotate
from hypothesis import given
from hypothesis import strategies as st
from read_back import image_names
from written_answers import picture

from florence_annotate.formats.names import export_names
from florence_annotate.journal import Journal
from florence_annotate.journal.journal import _stem
from florence_annotate.types import Failure, ImageRef, Record


def names_of(folder: Path, *keys: str) -> dict[str, str]:
    """The export names of annotated images with these keys."""
    refs = [ImageRef(key, key.encode(), 1, 1) for key in keys]
    with Journal.create(folder) as journal:
        journal.select(refs)
        journal.append(journal.begin_run("{}"), [Record(ref, "sha", 1, 1, ()) for ref in refs])
        return {key: export_names(journal)(key) for key in keys}


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


def test_a_safe_key_is_the_name(tmp_path: Path) -> None:
    keys = ["1.jpg", "a/b c/é.PNG", "a.tar.webp", "image/s.jpg"]
    assert names_of(tmp_path, *keys) == {key: key for key in keys}


def test_what_a_reader_would_stumble_over_is_changed(tmp_path: Path) -> None:
    names = names_of(
        tmp_path, "images/1.jpg", ".a/1.jpg", "a\\x07.jpg", "f.gif", "x" * 251 + ".jpg"
    )
    assert names["f.gif"] == "f.png"
    assert names["images/1.jpg"].startswith("images_/1-")
    assert names[".a/1.jpg"].startswith("_a/1-")
    assert names["a\\x07.jpg"].startswith("a_x07-")
    assert all(len(name) <= 250 for name in names.values())


def test_a_name_depends_on_no_image_that_failed(tmp_path: Path) -> None:
    failed, kept = (ImageRef(key, b"", 1, 1) for key in ("1.jpg", "1.png"))
    with Journal.create(tmp_path) as journal:
        journal.select([failed, kept])
        run = journal.begin_run("{}")
        journal.append(run, [Failure(failed, "read", "empty", ""), Record(kept, "sha", 1, 1, ())])
        assert export_names(journal)("1.png") == "1.png"


PARTS = st.sampled_from(["a", "A", "images", "1.txt", "1", ".h", "metadata.jsonl", "ß", "2.xml"])
ENDINGS = st.sampled_from([".jpg", ".JPG", ".png", ".gif", "", ".tar.gz", ".txt"])


@given(st.sets(st.builds("{}{}".format, st.lists(PARTS, min_size=1).map("/".join), ENDINGS)))
def test_no_two_images_and_no_two_of_their_files_meet(keys: set[str]) -> None:
    class Keys:
        def annotated_keys(self) -> list[tuple[str, str]]:
            return [(key, _stem(key)) for key in sorted(keys)]

    export_name = export_names(Keys())  # type: ignore[arg-type]
    stems = [export_name(key).rpartition(".")[0].casefold() for key in keys]
    assert len(set(stems)) == len(keys)
