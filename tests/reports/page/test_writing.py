"""One file, or a folder of data beside the page; and what a further report leaves and removes."""

import errno
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from conftest import command
from PIL import Image
from read_page import Page, read_page
from written_answers import answer, attempt, written_job

from florence_annotate.errors import OutputError
from florence_annotate.journal import Journal
from florence_annotate.reports.page import chunks
from florence_annotate.reports.page.folder import MARK
from florence_annotate.reports.page.writing import Request, Written, write_report
from florence_annotate.tasks import CAPTION, SEGMENTATION
from florence_annotate.types import Answer, Failure, Question

IMAGES = 7


@pytest.fixture
def job(tmp_path: Path) -> Path:
    said = {f"{number}.png": [answer("car", 10 * number, 10, 500, 500)] for number in range(IMAGES)}
    return written_job(tmp_path, said)


def write(out: Path, page: Path | None = None, **limits: Any) -> Written:
    with Journal.open_existing(out) as journal:
        return write_report(journal, Request(out, page), **limits)


def files(folder: Path) -> set[str]:
    return {each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file()}


def test_a_page_and_a_folder_hold_the_same(job: Path, tmp_path: Path) -> None:
    (tmp_path / "at").mkdir()
    whole, parts = tmp_path / "at" / "whole.html", tmp_path / "at" / "part ü.html"
    assert write(job, whole).folder is None
    written = write(job, parts, in_one_file=IMAGES - 1, a_chunk=3)
    assert (written.images, written.chunks, written.thumbnails) == (IMAGES, 3, IMAGES)
    assert written.folder == tmp_path / "at" / "part ü-data"
    one, other = read_page(whole), read_page(parts)
    assert [len(chunk["images"]) for chunk in other.chunks] == [3, 3, 1]
    assert all(chunk.startswith("part%20%C3%BC-data/chunk-000") for chunk in other.head["chunks"])
    for key, image in one.images.items():
        assert image.pop("t").startswith("data:image/jpeg;base64,")
        there = other.images[key]
        assert (tmp_path / "at" / unquote(there.pop("t"))).exists()
        assert image == there
    assert list(one.images) == sorted(one.images)


def test_a_further_report_makes_no_thumbnail_again_and_writes_the_same(job: Path) -> None:
    first = write(job)
    page = (job / "report.html").read_bytes()
    again = write(job)
    assert (first.thumbnails_made, again.thumbnails_made, again.thumbnails) == (IMAGES, 0, IMAGES)
    assert (job / "report.html").read_bytes() == page
    assert len(files(job / "report-data")) == IMAGES + 1


def test_what_is_needed_no_more_is_removed(job: Path, tmp_path: Path) -> None:
    write(job, in_one_file=0, a_chunk=2)
    chunks = {name for name in files(job / "report-data") if name.startswith("chunk-")}
    (tmp_path / "in" / "0.png").unlink()
    with Journal.open_to_write(job) as journal:
        refs = [ref for ref in journal.selection.refs() if ref.key != "0.png"]
        journal.selection.note(refs)
        journal.selection.take_over()
    written = write(job, in_one_file=0, a_chunk=3)
    left = files(job / "report-data")
    assert len(left) == 1 + written.chunks + written.thumbnails == 1 + 2 + 6
    assert not chunks & left and "0.png" not in read_page(job / "report.html").images
    write(job)
    assert not [name for name in files(job / "report-data") if name.startswith("chunk-")]


def test_a_page_elsewhere_is_one_file_and_leaves_another_alone(job: Path, tmp_path: Path) -> None:
    write(job, in_one_file=0)
    before = files(job)
    (tmp_path / "at").mkdir()
    assert write(job, tmp_path / "at" / "page.html").thumbnails_made == 0
    assert files(tmp_path / "at") == {"page.html"} and files(job) == before
    write(job, tmp_path / "at" / "page.html", in_one_file=0)
    assert MARK in files(tmp_path / "at" / "page-data")
    write(job, tmp_path / "at" / "page.html")
    assert [each.name for each in (tmp_path / "at").iterdir()] == ["page.html"]


def test_a_job_that_cannot_be_written_to_gets_its_page_elsewhere(job: Path, tmp_path: Path) -> None:
    (job / "report-data").symlink_to(tmp_path)  # whoever may write everywhere is refused too
    before = files(tmp_path)
    written = write(job, tmp_path / "page.html")
    assert written.thumbnails == written.thumbnails_made == IMAGES
    assert files(tmp_path) == {*before, "page.html"}


def rows(folder: Path, said: Sequence[Answer], **settings: object) -> tuple[Page, Any]:
    asked = [Question(one.question.task) for one in said]
    out = written_job(folder, {"a.png": said}, asked, **settings)
    write(out)
    page = read_page(out / "report.html")
    return page, page.images["a.png"]


def test_what_is_dropped_comes_behind_what_is_kept_with_its_reason(tmp_path: Path) -> None:
    said = answer("car", 0, 0, 500, 500, "tree", 1, 2, 300, 400, "bus", 5, 5, "bus", 0, 0, 9, 9)
    page, image = rows(tmp_path, [said], classes={"car": None, "bus": {"min_area": 100}})
    reasons = [one["name"] for one in page.head["reasons"]]
    assert (image["w"], image["h"]) == (100, 80)
    kept, *dropped = image["b"]
    assert kept[:4] == pytest.approx([0, 0, 50, 40], abs=0.1) and kept[4:] == [0, 1.0, -1, -1]
    told = {reasons[box[6]]: (page.named(box), box[4] >= 0, box[:4]) for box in dropped}
    assert told["no-class"][:2] == ("tree", False)
    assert told["min-area"][:2] == ("bus", True)
    assert told["torn-box"] == ("bus", False, [None] * 4)


def test_outlines_and_printed_texts_come_with_their_box(tmp_path: Path) -> None:
    outline = [200, 200, 800, 200, 800, 500, 800, 800, 200, 800]
    said = replace(
        answer(*outline, task=SEGMENTATION),
        question=Question(SEGMENTATION, "car"),
    )
    (tmp_path / "mask").mkdir()
    out = written_job(tmp_path / "mask", {"a.png": [said]}, [said.question], classes="car")
    write(out)
    (box,) = read_page(out / "report.html").images["a.png"]["b"]
    assert box[8:] == [[[20, 16, 80, 16, 80, 64, 20, 64]]]  # without the point on an edge
    (tmp_path / "text").mkdir()
    word = answer("EXIT", 100, 100, 300, 100, 300, 200, 100, 200, task="<OCR_WITH_REGION>")
    _, image = rows(tmp_path / "text", [word])
    assert image["b"][0][8:] == [[[10, 8, 30, 8, 30, 16, 10, 16]], "EXIT"]


def test_texts_and_cut_answers_and_failures_are_told(tmp_path: Path) -> None:
    said = {
        "a.png": [replace(answer("a street", task=CAPTION), truncated=True)],
        "b.png": [answer("a yard", task=CAPTION)],
    }
    out = written_job(tmp_path, said, [Question(CAPTION)])
    with Journal.open_to_write(out) as journal:
        ref = list(journal.selection.refs())[1]
        journal.append(1, [Failure(ref, "decode", "corrupt", "broken\nfile")])
    write(out)
    page = read_page(out / "report.html")
    first, second = page.images.values()
    assert first["c"] == ["a street"] and first["u"] == 1 and first["b"] == []
    assert second == {"k": "b.png", "w": 0, "h": 0, "f": "decode: broken file", "q": 1, "b": []}
    assert page.head["classes"] == [] and "failed (1 corrupt)" in page.text


@pytest.mark.parametrize("changed", ["gone", "other"])
def test_an_image_that_is_gone_or_another_one_has_no_thumbnail(
    changed: str, job: Path, tmp_path: Path
) -> None:
    if changed == "gone":
        (tmp_path / "in" / "3.png").unlink()
    else:
        Image.new("RGB", (50, 50), "blue").save(tmp_path / "in" / "3.png")
    write(job)
    images = read_page(job / "report.html").images
    assert [key for key, image in images.items() if "t" not in image] == ["3.png"]


def test_a_dataset_keeps_the_picture_of_an_original_that_is_gone(job: Path, tmp_path: Path) -> None:
    assert command("export", job, "--images", "copy").code == 0
    for path in (tmp_path / "in").iterdir():
        path.unlink()
    write(job)
    images = read_page(job / "report.html").images
    assert all("t" in image and (job / image["x"]).exists() for image in images.values())


@pytest.mark.parametrize("images", ["copy", "hardlink", "symlink"])
@pytest.mark.parametrize("changed", ["since it was annotated", "and annotated again"])
def test_no_box_is_drawn_over_another_picture_of_the_dataset(
    changed: str, images: str, job: Path, tmp_path: Path
) -> None:
    assert command("export", job, "--images", images).code == 0
    write(job)
    assert all("x" in image for image in read_page(job / "report.html").images.values())
    original = tmp_path / "in" / "3.png"
    with original.open("r+b") as file:  # in place, as some editors do
        Image.new("RGB", (103, 80), "blue").save(file, "PNG")
    if changed == "and annotated again":
        with Journal.open_to_write(job) as journal:
            attempt(journal, tmp_path, {"3.png": [answer("dog", 0, 0, 500, 500)]})
    write(job)
    made = read_page(job / "report.html").images
    is_own = images == "copy" and changed == "since it was annotated"
    is_shown = is_own or (images != "copy" and changed == "and annotated again")
    assert [key for key, image in made.items() if "x" not in image] == ["3.png"][is_shown:]


def test_a_picture_that_was_turned_upright_is_shown(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    out = written_job(tmp_path, {"a.jpg": [answer("car", 0, 0, 500, 250)]})
    Image.new("RGB", (100, 80), "red").save(tmp_path / "in" / "a.jpg", exif=exif)
    with Journal.open_to_write(out) as journal:
        attempt(journal, tmp_path, {"a.jpg": [answer("car", 0, 0, 500, 250)]})
    assert command("export", out).code == 0
    write(out)
    image = read_page(out / "report.html").images["a.jpg"]
    with Image.open(out / image["x"]) as shown:
        assert shown.size == (80, 100) == (image["w"], image["h"]) and not shown.getexif()


def test_another_report_mends_what_is_damaged(job: Path) -> None:
    write(job, in_one_file=0, a_chunk=3)
    written = files(job / "report-data") - {MARK}
    before = {name: (job / "report-data" / name).read_bytes() for name in written}
    for name in before:
        (job / "report-data" / name).write_bytes(b"" if name.endswith(".jpg") else b"alert(1)")
    assert write(job, in_one_file=0, a_chunk=3).thumbnails_made == IMAGES
    assert before == {name: (job / "report-data" / name).read_bytes() for name in before}


def test_a_picture_under_many_names_has_one_thumbnail(tmp_path: Path) -> None:
    names = [f"{number}.png" for number in range(4)]
    said = {name: [answer("car", 0, 0, 500, 500)] for name in names}
    out = written_job(tmp_path, said)
    for name in names:
        Image.new("RGB", (100, 80), "red").save(tmp_path / "in" / name)
    with Journal.open_to_write(out) as journal:
        attempt(journal, tmp_path, said)
    for page in (out / "report.html", tmp_path / "page.html"):
        written = write(out, page, in_one_file=0, a_chunk=1)
        assert (written.thumbnails, written.thumbnails_made) == (1, 1)


class _Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_that_is_full_is_told(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "TemporaryFile", lambda *given, **options: _Full())
    with pytest.raises(OutputError, match="No space left"):
        write(job)
    assert not (job / "report.html").exists()
