"""Captions of several tasks, each in a field of its own, in every format that has fields."""

import json
from pathlib import Path
from xml.etree import ElementTree

import datasets
import pandas
import pytest
from conftest import command, rows
from read_back import read_coco
from written_answers import answer, written_job

from florence_annotate.tasks import CAPTION, MORE_DETAILED_CAPTION
from florence_annotate.types import Question

pytestmark = pytest.mark.usefixtures("datasets_cache")

SHORT, LONG = "a cat", "A cat sits on a sofa."
ASKED = [Question(CAPTION), Question(MORE_DETAILED_CAPTION)]
FORMATS = "coco-captions,jsonl,parquet,imagefolder,label-studio,txt"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Two images with captions of two grains; of the second one of them is missing."""
    said = {
        "1.png": [answer(SHORT, task=CAPTION), answer(LONG, task=MORE_DETAILED_CAPTION)],
        "2.png": [answer(SHORT, task=CAPTION)],
    }
    job = written_job(tmp_path, said, ASKED, task="caption,more-detailed-caption")
    done = command("export", job, "--format", FORMATS, "--json")
    assert done.code == 0, done.err
    assert done.json["captions_by_task"] == {"caption": 2, "more-detailed-caption": 1}
    return job


def test_tables_have_a_column_for_each_task(out: Path) -> None:
    folder = datasets.load_dataset("imagefolder", data_dir=str(out / "images"), split="train")
    table = datasets.load_dataset("parquet", data_dir=str(out / "parquet"), split="train")
    frame = pandas.read_parquet(out / "parquet" / "train.parquet")
    for read in (folder, table, frame):
        assert list(read["caption"]) == [SHORT, SHORT]
        assert list(read["more-detailed-caption"]) == [LONG, ""]
        assert [list(captions) for captions in read["captions"]] == [[SHORT, LONG], [SHORT]]


def test_coco_and_json_lines_name_the_task_of_each_caption(out: Path) -> None:
    read = read_coco(out / "annotations" / "captions_train.json")
    first = read.loadAnns(read.getAnnIds(imgIds=[1]))
    assert [(one["task"], one["caption"]) for one in first] == [
        ("caption", SHORT),
        ("more-detailed-caption", LONG),
    ]
    captions = rows(out)[0]["captions"]
    assert [(one["task"], one["text"]) for one in captions] == [
        ("caption", SHORT),
        ("more-detailed-caption", LONG),
    ]


def test_label_studio_has_a_text_area_for_each_task(out: Path) -> None:
    config = ElementTree.parse(out / "label-studio" / "config.xml").getroot()
    areas = [element.get("name") for element in config if element.tag == "TextArea"]
    assert areas == ["caption", "more-detailed-caption"]
    tasks = json.loads((out / "label-studio" / "tasks.json").read_text())
    for task, long in zip(tasks, (LONG, ""), strict=True):
        results = task["predictions"][0]["result"]
        assert len({result["id"] for result in results}) == 2
        texts = {result["from_name"]: result["value"]["text"] for result in results}
        assert texts == {"caption": [SHORT], "more-detailed-caption": [long]}


def test_a_joined_caption_is_the_only_one_in_every_format(out: Path) -> None:
    join = ("--join", "caption,more-detailed-caption")
    assert command("export", out, "--format", FORMATS, *join).code == 0
    joined = [f"{SHORT}, {LONG}", SHORT]
    frame = pandas.read_parquet(out / "parquet" / "train.parquet")
    assert "caption" not in frame.columns
    assert [list(captions) for captions in frame["captions"]] == [[text] for text in joined]
    read = read_coco(out / "annotations" / "captions_train.json")
    assert [one["caption"] for one in read.loadAnns(read.getAnnIds())] == joined
    tasks = json.loads((out / "label-studio" / "tasks.json").read_text())
    results = [task["predictions"][0]["result"] for task in tasks]
    assert [[one["value"]["text"] for one in result] for result in results] == [
        [[text]] for text in joined
    ]
    texts = sorted((out / "images" / "train").glob("*.txt"))
    assert [file.read_text() for file in texts] == [f"{text}\n" for text in joined]
