"""Captions beside the images, as trainers of adapters read them."""

import json
import shutil
from pathlib import Path

import datasets
import pytest
import supervision as sv
from conftest import annotate, command, rows
from written_answers import answer, answered_job, picture, written_job

from florence_annotate.tasks import CAPTION, MORE_DETAILED_CAPTION, OD
from florence_annotate.types import Question


def read_by_kohya(images: Path) -> dict[str, str]:
    """The captions of a folder of images, by the image's name, as `DreamBoothDataset` of kohya's
    sd-scripts reads them with `caption_extension=".txt"`: the first line, which there must be."""
    found = {}
    for image in images.iterdir():
        if image.suffix in (".png", ".jpg", ".jpeg", ".webp", ".bmp"):
            lines = image.with_suffix(".txt").read_text(encoding="utf-8").splitlines(keepends=True)
            assert len(lines) > 0
            found[image.name] = lines[0].strip()
    return found


@pytest.fixture(scope="module")
def captioned(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Boxes and captions of two grains. Not to be written to."""
    out = tmp_path_factory.mktemp("captioned") / "out"
    asked = ("--task", "detection,caption,more-detailed-caption")
    done = annotate(scenes, out, *asked, "--format", "txt,yolo,jsonl")
    assert done.code == 0, done.err
    assert "images/*/*.txt" in done.out
    return out


@pytest.fixture
def job(captioned: Path, tmp_path: Path) -> Path:
    """A copy of that job."""
    return Path(shutil.copytree(captioned, tmp_path / "out", symlinks=True))


def test_the_longest_caption_is_beside_its_image(captioned: Path) -> None:
    for row in rows(captioned):
        read = read_by_kohya(captioned / "images" / row["split"])
        longest = max((caption["text"] for caption in row["captions"]), key=len)
        assert read[row["file_name"]] == longest
    assert len(list((captioned / "images").rglob("*.txt"))) == 20


def test_an_export_joins_strips_and_adds_without_the_model(job: Path) -> None:
    before = {row["key"]: row for row in rows(job)}
    policy = ("--join", "more-detailed-caption,tags", "--strip-openings")
    words = ("--caption-prefix", "ohwx style, ", "--caption-suffix", ", painted")
    assert command("export", job, *policy, *words).code == 0
    for row in rows(job):
        name = "more-detailed-caption"
        (long,) = [c["text"] for c in before[row["key"]]["captions"] if c["task"] == name]
        if long.startswith("The image shows "):
            long = long.removeprefix("The image shows ").capitalize()
        tags = list(dict.fromkeys(one["class"] for one in row["instances"]))
        text = ", ".join([long.removesuffix(".") if tags else long, *tags])
        read = read_by_kohya(job / "images" / row["split"])[row["file_name"]]
        assert read.casefold() == f"ohwx style, {text}, painted".casefold()
        assert [c["task"] for c in row["captions"]] == ["more-detailed-caption,tags"]
    undone = ("--join", "", "--no-strip-openings", "--caption-prefix", "", "--caption-suffix", "")
    assert command("export", job, *undone).code == 0
    assert {row["key"]: row for row in rows(job)} == before


def test_a_correction_is_kept_and_the_texts_go_as_they_came(job: Path) -> None:
    corrected = next((job / "images").rglob("*.txt"))
    corrected.write_text("mine\n")
    held = command("export", job, "--caption-prefix", "x ", "--json")
    assert (held.code, list(held.json["held"])) == (0, [corrected.relative_to(job).as_posix()])
    assert corrected.read_text() == "mine\n"
    assert command("export", job, "--caption-prefix", "x ", "--overwrite").code == 0
    assert corrected.read_text().startswith("x ")
    assert command("export", job, "--format", "yolo").code == 0
    assert not list((job / "images").rglob("*.txt"))
    assert not (job / "orphans").exists()
    assert len(list((job / "images").rglob("*.jpg"))) == 20


def test_the_texts_disturb_no_reader_of_the_images(
    job: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command("export", job, "--format", "yolo,txt,imagefolder").code == 0
    read = sv.DetectionDataset.from_yolo(
        str(job / "images" / "val"), str(job / "labels" / "val"), str(job / "data.yaml")
    )
    assert len(read) == len(list((job / "images" / "val").glob("*.jpg")))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()
    folder = datasets.load_dataset("imagefolder", data_dir=str(job / "images"))
    assert sum(map(len, folder.values())) == 20


def test_a_caption_is_one_line_and_an_empty_one_is_a_line_too(tmp_path: Path) -> None:
    said = {
        "1.jpg": [answer("First.\n\nSecond.", task=CAPTION)],
        "1.png": [answer(task=CAPTION)],
        "below/a b.png": [answer("自動車", task=CAPTION)],
    }
    out = written_job(tmp_path, said, [Question(CAPTION)], task="caption", formats="txt")
    assert command("export", out).code == 0
    read = read_by_kohya(out / "images" / "train")
    assert sorted(read.values()) == ["", "First. Second."]
    assert len(read) == 2  # two images of one stem have a text each
    assert read_by_kohya(out / "images" / "train" / "below") == {"a b.png": "自動車"}


def test_of_equally_long_captions_the_first_is_taken(tmp_path: Path) -> None:
    asked = [Question(MORE_DETAILED_CAPTION), Question(CAPTION)]
    said = {"1.png": [answer("a dog", task=asked[0].task), answer("a cat", task=CAPTION)]}
    out = written_job(tmp_path, said, asked, formats="txt")
    assert command("export", out).code == 0
    assert read_by_kohya(out / "images" / "train") == {"1.png": "a dog"}


def test_tags_alone_make_captions_of_boxes(tmp_path: Path) -> None:
    said = {"1.png": [answer("cat", 1, 2, 300, 400, "sofa", 5, 5, 600, 700)], "2.png": []}
    out = written_job(tmp_path, said, [Question(OD)])
    refused = command("export", out, "--format", "txt")
    assert refused.code == 2 and "would hold nothing" in refused.err
    done = command("export", out, "--format", "txt,coco-captions", "--join", "tags", "--json")
    assert done.code == 0, done.err
    assert read_by_kohya(out / "images" / "train") == {"1.png": "cat, sofa"}
    assert done.json["captions_by_task"] == {"tags": 1}


def test_texts_without_their_images_are_refused(tmp_path: Path) -> None:
    out = answered_job(tmp_path, CAPTION, "a wall")
    refused = command("export", out, "--format", "txt", "--images", "none")
    assert refused.code == 2 and "--images none" in refused.err


def test_what_cannot_be_joined_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    picture(tmp_path / "in" / "1.png")
    options = ("--task", "caption", "--format", "txt", "--join", "captions,tags")
    refused = annotate(tmp_path / "in", tmp_path / "out", *options)
    assert refused.code == 2 and "--task caption,detection" in refused.err
    assert not (tmp_path / "out").exists()


def test_the_sidecars_of_a_dataset_are_texts_for_another_job(job: Path, tmp_path: Path) -> None:
    again = ("--task", "grounding", "--texts", "sidecar", "--limit", 3, "--format", "jsonl")
    done = annotate(job / "images" / "val", tmp_path / "again", *again)
    assert done.code == 0, done.err
    summary = json.loads((tmp_path / "again" / "summary.json").read_text())
    assert summary["images_not_asked"] == 0 < summary["instances"]
