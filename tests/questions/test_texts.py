"""Texts that users give for each image."""

import json
from pathlib import Path

import pytest
from conftest import annotate, command, rows

import florence_annotate
from florence_annotate.journal import Journal
from florence_annotate.questions.texts import read_texts, sidecar_text
from florence_annotate.types import ImageRef

FEW = ("--limit", 4, "--images", "none", "--format", "jsonl")


def test_each_image_has_its_own_text(scenes: Path, tmp_path: Path) -> None:
    first, second, *others = sorted(path.name for path in scenes.glob("*.jpg"))
    csv = f"image,text\n{first},a star\nelsewhere/{second},a star\n{others[0]},a cross\n"
    (tmp_path / "texts.csv").write_text(csv)
    options = ["--task", "grounding", "--texts", tmp_path / "texts.csv", *FEW]
    assert annotate(scenes, tmp_path / "out", *options).code == 0
    dataset = florence_annotate.open_dataset(tmp_path / "out")
    asked = {image.ref.key: image.instances for image in dataset}
    was_asked = {image.ref.key for image in dataset if image.was_asked}
    assert was_asked == {first, others[0]}  # the name of the second is not that in the file
    assert {row["key"] for row in rows(tmp_path / "out")} == was_asked
    assert {one.label for one in asked[first]} <= {"star"}
    with Journal.open_to_write(tmp_path / "out") as journal:
        texts = {
            record.ref.key: [answer.question.text for answer in record.answers]
            for record in journal.records()
        }
    assert texts[first] == ["a star"] and texts[others[0]] == ["a cross"]
    assert texts[second] == texts[others[1]] == []


def test_a_text_may_lie_beside_the_image(scenes: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for path in sorted(scenes.glob("*.jpg"))[:2]:
        (folder / path.name).write_bytes(path.read_bytes())
    named = sorted(folder.glob("*.jpg"))[0]
    named.with_suffix(".txt").write_text("a star, a cross and\nan ellipse\n")
    options = ["--task", "grounding", "--texts", "sidecar", "--format", "jsonl"]
    result = annotate(folder, tmp_path / "out", *options)
    assert result.code == 0 and "1 image without a text" in result.out
    assert json.loads((tmp_path / "out/summary.json").read_text())["images_not_asked"] == 1
    (with_text,) = rows(tmp_path / "out")  # nothing is known of the other
    assert with_text["instances"]
    with Journal.open_to_write(tmp_path / "out") as journal:
        (asked,) = next(journal.records()).answers
    assert asked.question.text == "a star, a cross and an ellipse"


@pytest.mark.parametrize("said", ["a star " * 1000, "a star </s> a cross"])
def test_a_text_that_cannot_be_asked_is_a_failure_of_its_image(
    said: str, scenes: Path, tmp_path: Path
) -> None:
    first, second, *_ = sorted(path.name for path in scenes.glob("*.jpg"))
    (tmp_path / "texts.csv").write_text(f"image,text\n{first},{said}\n{second},a star\n")
    options = ["--task", "grounding", "--texts", tmp_path / "texts.csv", *FEW]
    assert annotate(scenes, tmp_path / "out", *options).code == 3
    (failure,) = command("failures", tmp_path / "out", "--json").json
    assert (failure["key"], failure["kind"]) == (first, "unaskable")
    assert [row["key"] for row in rows(tmp_path / "out")] == [second]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "picture,text\na,b\n",
        "image,text\na.jpg,x\na.jpg,y\n",
        "image,text\na.jpg,a cat, a dog\n",
        'image,text\na.jpg,"a cat\nb.jpg,a dog\n',
    ],
)
def test_a_file_that_cannot_be_read_as_texts_is_refused(
    content: str, scenes: Path, tmp_path: Path
) -> None:
    (tmp_path / "texts.csv").write_text(content)
    options = ["--task", "grounding", "--texts", tmp_path / "texts.csv"]
    result = annotate(scenes, tmp_path / "out", *options)
    assert result.code == 2 and "texts.csv" in result.err


def test_a_sidecar_is_read_as_one_line(tmp_path: Path) -> None:
    ref = ImageRef("a.jpg", bytes(tmp_path / "a.jpg"), 0, 0)
    assert sidecar_text(ref) is None
    (tmp_path / "a.txt").write_text("\ufeffa cat\n and  a dog \n", encoding="utf-8")
    assert sidecar_text(ref) == "a cat and a dog"
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe")
    assert sidecar_text(ref) is None


def test_a_csv_gives_texts_by_name(tmp_path: Path) -> None:
    file = tmp_path / "texts.csv"
    file.write_text('text,image,more\n"a cat, a dog",a.jpg,x\n,b.jpg,\n')
    texts = read_texts(file)
    assert texts(ImageRef("in/a.jpg", b"", 0, 0)) == "a cat, a dog"
    assert not texts(ImageRef("b.jpg", b"", 0, 0))
    assert texts(ImageRef("c.jpg", b"", 0, 0)) is None
