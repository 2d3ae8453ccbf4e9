"""What users give is found by the image's name."""

from pathlib import Path
from typing import Any

import pytest
from conftest import annotate, rows

from florence_annotate.errors import UsageError
from florence_annotate.labels.by_name import ByName, paths_of
from florence_annotate.types import ImageRef


def test_names_may_be_paths_and_those_of_no_image_are_said(scenes: Path, tmp_path: Path) -> None:
    path = sorted(scenes.glob("*.jpg"))[0]
    (tmp_path / "texts.csv").write_text(f"image,text\n{path},a star\nnowhere.jpg,a cross\n")
    options = ["--task", "grounding", "--texts", tmp_path / "texts.csv", "--format", "jsonl"]
    result = annotate(scenes, tmp_path / "out", *options)
    assert result.code == 0 and "fit no image: 'nowhere.jpg'" in result.err
    assert [row["key"] for row in rows(tmp_path / "out")] == [path.name]


def test_a_name_that_two_images_have_is_refused(scenes: Path, tmp_path: Path) -> None:
    picture = next(scenes.glob("*.jpg"))
    for folder in ("in/a", "in/b"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "1.jpg").write_bytes(picture.read_bytes())
    texts = tmp_path / "texts.csv"
    options = ["--task", "grounding", "--texts", texts, "--format", "jsonl"]
    for name, message in (("1.jpg", "a/1.jpg and b/1.jpg"), ("2.jpg", "none of the images")):
        texts.write_text(f"image,text\n{name},a star\n")
        result = annotate(tmp_path / "in", tmp_path / "out", *options)
        assert result.code == 2 and message in " ".join(result.err.split())
    texts.write_text("image,text\na/1.jpg,a star\nb/1.jpg,a cross\n")
    assert annotate(tmp_path / "in", tmp_path / "out", *options).code == 0


def by_name(*names: str, **settings: Any) -> ByName[str | None]:
    return ByName({name: f"of {name}" for name in names}, None, Path("given.csv"), **settings)


def ref(key: str, path: str = "/elsewhere/x.jpg") -> ImageRef:
    return ImageRef(key, path.encode(), 0, 0)


def test_the_longest_name_that_ends_a_key_counts() -> None:
    texts = by_name("1.jpg", "a/1.jpg", "b/a/1.jpg")
    assert texts(ref("b/a/1.jpg")) == "of b/a/1.jpg"
    assert texts(ref("c/a/1.jpg")) == "of a/1.jpg"
    assert texts(ref("1.jpg")) == "of 1.jpg"
    assert texts(ref("11.jpg")) is None


def test_names_without_endings_fit_images_of_any_kind() -> None:
    texts = by_name("train/1", has_suffixes=False)
    assert texts(ref("train/1.jpg")) == texts(ref("x/train/1.png")) == "of train/1"


def test_an_absolute_path_may_be_the_name(tmp_path: Path) -> None:
    path = str(tmp_path / "images" / "1.jpg")
    file = tmp_path / "given.csv"
    texts = by_name("images/1.jpg", aliases=paths_of(["images/1.jpg"], file))
    assert texts(ref("1.jpg", path)) == "of images/1.jpg"
    assert texts(ref("1.jpg")) is None


def test_names_are_held_to_the_images_of_the_job() -> None:
    refs = [ref("a/1.jpg"), ref("a/2.jpg")]
    assert by_name("1.jpg", "3.jpg").fit(refs) == ("3.jpg",)
    with pytest.raises(UsageError, match=r"is named in given\.csv"):
        by_name("3.jpg").fit(refs)
    with pytest.raises(UsageError, match="has one entry"):
        by_name("1.jpg").fit([*refs, ref("b/1.jpg")])
    doubtful = by_name("train/1", has_suffixes=False, doubtful=frozenset({"1"}))
    with pytest.raises(UsageError, match="in several folders"):
        doubtful.fit([ref("1.jpg")])
