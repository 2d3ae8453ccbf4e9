"""`report`: the page of a job, as a browser would read it."""

import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from conftest import annotate, command, edit
from PIL import Image
from read_back import annotated_images
from read_page import Page, read_page
from written_answers import answer, picture, say, scored, select, written_job
from written_truth import truth_of

from florence_annotate.config import job_spec
from florence_annotate.images import codec
from florence_annotate.images.sources import Sources
from florence_annotate.journal import Journal
from florence_annotate.reasons import Reason
from florence_annotate.reports.page.writing import Request, write_report
from florence_annotate.tasks import CAPTION
from florence_annotate.types import Failure, Question

HOSTILE = "</script><img src=x onerror=alert(1)>"


def report(out: Path, *options: object) -> Page:
    result = command("report", out, *options)
    assert result.code == 0, result.err
    page = out / "report.html"
    if "-o" in options:
        page = Path(str(options[options.index("-o") + 1]))
    assert f"written: {page}" in result.out
    return read_page(page)


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


@pytest.fixture
def job(tmp_path: Path) -> Path:
    said = {
        "a.png": [answer("car", 100, 125, 500, 500, "dog", 600, 10, 900, 500)],
        "b.png": [answer()],
    }
    return written_job(tmp_path, said, formats="yolo,coco")


@pytest.fixture(scope="module")
def dataset(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what others look at, too: a report keeps thumbnails in the job's folder."""
    return Path(shutil.copytree(dataset, tmp_path_factory.mktemp("copy") / "dataset"))


@pytest.fixture(scope="module")
def page(dataset: Path, scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Page:
    """Of the painted scenes, against what is true of them."""
    at = tmp_path_factory.mktemp("page") / "page.html"
    return report(dataset, "-o", at, "--ground-truth", scenes / "ground-truth.json")


def test_every_box_of_the_dataset_is_on_the_page(page: Page, dataset: Path) -> None:
    images = annotated_images(dataset)
    assert list(page.images) == sorted(images) and not page.head["chunks"]
    for key, image in page.images.items():
        wanted = images[key]
        assert (image["w"], image["h"]) == (wanted.width, wanted.height)
        kept = [box for box in image["b"] if box[6] == -1]
        assert [(page.named(box), box[5]) for box in kept] == [
            (wanted.class_names[one.class_id], round(one.score, 3)) for one in wanted.instances
        ]
        for box, one in zip(kept, wanted.instances, strict=True):
            assert box[:4] == pytest.approx(one.box, abs=0.051)
        assert len(image["b"]) == len(kept) + len(wanted.dropped)
    assert page.head["scored_by"] == "probability" and page.head["dataset"] == "dataset"
    assert [one["name"] for one in page.head["reasons"]] == list(Reason)


def test_pictures_are_found_from_where_the_page_lies(dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "moved"
    shutil.copytree(dataset, out)
    (tmp_path / "at").mkdir()
    splits = {path.name: path.parent.name for path in (out / "images").rglob("*.jpg")}
    for where in (out, tmp_path / "at"):
        made = report(out, "-o", where / "page.html")
        for key, image in made.images.items():
            assert size_of(where / unquote(image["x"])) == (image["w"], image["h"])
            assert made.head["splits"][image["s"]] == splits[key]


def test_what_is_right_and_what_is_missed_is_what_eval_counts(
    page: Page, dataset: Path, scenes: Path
) -> None:
    found = command("eval", dataset, "--ground-truth", scenes / "ground-truth.json", "--json").json
    boxes = [box for image in page.images.values() for box in image["b"] if box[6] == -1]
    true = [one for image in page.images.values() for one in image["g"]]
    rates = found["at_policy"]
    assert (len(boxes), len(true)) == (rates["boxes"], rates["objects"])
    assert sum(box[7] == 1 for box in boxes) == rates["right"] == sum(one[5] for one in true)
    assert page.head["truth"]
    weights = {key: image["q"] for key, image in page.images.items() if image["q"]}
    worst = {one["key"]: round(one["weight"], 3) for one in found["worst_images"]}
    assert worst == dict(sorted(weights.items(), key=lambda pair: -pair[1])[: len(worst)])
    assert f"AP {found['ap']:.3f}" in page.text
    for part in ("accuracy", "errors", "calibration", "curves"):
        assert ("section", {"id": f"summary-{part}"}) in page.elements
    assert {f"#image={one}" for one in worst} <= set(page.links)


def test_charts_are_pictures_with_a_title_and_a_table(page: Page) -> None:
    figures = sum(tag == "figure" for tag, _ in page.elements)
    drawings = [values for tag, values in page.elements if tag == "svg"]
    names = {values["id"] for _, values in page.elements if "id" in values}
    assert figures == len(drawings) >= 8
    for each in drawings:
        assert each["role"] == "img" and set(str(each["aria-labelledby"]).split()) <= names
    assert page.html.count("As a table</summary><table") == figures
    assert {"#class=star", "#score=0.9-1.0", "#show=labelled"} <= set(page.links)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """Of a class in each of 210 boxes, all of which are right."""
    folder = tmp_path_factory.mktemp("many")
    names = [f"kind {number:03}" for number in range(210)]
    found = scored(*[(name, 0.9, (100, 100, 900, 900)) for name in names])
    out = written_job(folder, {"a.png": [found]})
    truth = folder / "truth.json"
    objects = [(name, (10.0, 8.0, 90.0, 72.0)) for name in names]
    truth.write_text(json.dumps(truth_of({"a.png": objects}, names)))
    return report(out, "--ground-truth", truth)


def test_of_more_classes_than_a_table_shows_the_figures_of_all_are_there(many: Page) -> None:
    (table,) = re.findall("<table[^>]*>(?:(?!<table).)*best at.*?</table>", many.html)
    assert "and 11 more" in many.text and table.count("<tr>") == 201
    assert re.search('<td>all</td><td class="number">210</td>', table)


def test_nothing_of_a_chart_is_cut_off(many: Page) -> None:
    drawings = re.findall(r'viewBox="0 0 440 (\d+)"(.*?)</svg>', many.html)
    assert len(drawings) >= 8
    for height, content in drawings:
        lowest = max(float(y) for y in re.findall(r'<text[^>]* y="([\d.]+)"', content))
        assert lowest <= int(height) - 3  # what hangs below the line


def test_nothing_on_the_page_comes_from_elsewhere(page: Page) -> None:
    for tag, values in page.elements:
        assert tag not in ("link", "iframe", "object", "base")
        assert not [name for name in values if name.startswith("on")]
        for name in ("src", "href"):
            assert str(values.get(name, "#")).startswith("#"), (tag, values)
    assert "default-src 'none'" in page.html


NAMES = (
    HOSTILE.encode() + b".png",  # in a folder that is named <
    b"quote\"'` && {{data}} {{title}}.png",
    b"line\nbreak.png",
    b"not \xff utf-8.png",
    "ü 100% #1?.png".encode(),
)
LABELS = (HOSTILE, "a\u2028{{summary}}")


def test_hostile_names_and_labels_are_text(job: Path, tmp_path: Path) -> None:
    source = tmp_path / "<img src=x onerror=alert(1)>"
    for index, name in enumerate(NAMES):
        path = os.path.join(os.fsencode(source), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        picture(tmp_path / "new.png", (60 + index, 50))
        os.rename(tmp_path / "new.png", path)
    out = tmp_path / "<img src=x onerror=alert(1)> {{data}}"
    assert annotate(source, out, "--no-canary", "-q").code == 0
    say(out, answer(LABELS[0], 100, 100, 900, 900, LABELS[1], 1, 1, 500, 500))
    assert command("export", out, "-q").code == 0
    made = report(out)
    assert {tag for tag, _ in made.elements} == {tag for tag, _ in report(job).elements}
    assert made.head["dataset"] == out.name
    assert HOSTILE in made.text and out.name in made.text
    assert f"#class={quote(HOSTILE, safe='')}" in made.links
    assert len(made.images) == len(NAMES)
    for image in made.images.values():
        assert {made.named(box) for box in image["b"]} == set(LABELS)
        assert size_of(out / unquote(image["x"])) == (image["w"], 50) and "t" in image
    assert {key for key in made.images if "utf-8" in key} == {"not \\xff utf-8.png"}


def test_a_page_stands_in_the_way_of_nothing(job: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.html").write_text("<p>mine</p>")
    (tmp_path / "link.html").symlink_to(tmp_path / "mine.html")
    (tmp_path / "folder.html").mkdir()
    for name, why in (
        ("page.txt", "ends in .html"),
        ("no/page.html", "there is no folder"),
        ("mine.html", "no page of a report"),
        ("link.html", "no page of a report"),
        ("folder.html", "no page of a report"),
    ):
        result = command("report", job, "-o", tmp_path / name)
        assert result.code == 2 and why in result.err and result.err.count("\n") == 1
    assert (tmp_path / "mine.html").read_text() == "<p>mine</p>"
    report(job, "-o", tmp_path / "page.html")
    report(job, "-o", tmp_path / "page.html")


def test_no_job_is_told_as_stats_tells_it(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in ("nowhere", "empty"):
        told = [command(name, tmp_path / folder) for name in ("report", "stats")]
        assert told[0].code == told[1].code == 1 and told[0].err == told[1].err
        assert not (tmp_path / folder / "report.html").exists()


def test_json_says_where_it_is_and_what_is_in_it(job: Path) -> None:
    result = command("report", job, "--json")
    assert result.json == {
        "page": str(job / "report.html"), "folder": None, "images": 2, "chunks": 0,
        "thumbnails": 2, "thumbnails_made": 2, "without_picture": 0,
    }  # fmt: skip
    assert not result.err


def test_images_whose_files_are_gone_or_changed_are_counted(job: Path) -> None:
    shutil.rmtree(job / "images", ignore_errors=True)
    picture(job.parent / "in" / "a.png", (50, 40))
    (job.parent / "in" / "b.png").unlink()
    result = command("report", job)
    assert result.code == 0, result.err
    assert "2 images have no picture on it: their files are gone or were changed" in result.out
    assert command("report", job, "--json").json["without_picture"] == 2


def test_a_place_that_may_not_be_written_to_is_told_before_anything_is_read(
    job: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "locked").mkdir()
    may = os.access  # root may write everywhere but on a disk that is read-only
    closed = str(tmp_path / "locked")
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != closed and may(path, mode))
    result = command("report", job, "-o", tmp_path / "locked" / "page.html")
    assert (result.code, result.err.count("\n")) == (1, 1)  # not even how many were read
    assert f"{closed} may not be written to" in result.err


def test_masks_are_compared_with_a_truth_alone(job: Path) -> None:
    result = command("report", job, "--iou", "segm")
    assert result.code == 2 and "--iou" in result.err and "--ground-truth" in result.err
    assert not (job / "report.html").exists()


def test_what_is_kept_is_by_the_policy_as_it_is_now(job: Path) -> None:
    assert command("export", job, "-q").code == 0
    edit(job, "min_area: 0.0", "min_area: 1190")
    made = report(job)
    assert {made.named(box): box[6] != -1 for box in made.images["a.png"]["b"]} == {
        "car": False, "dog": True,
    }  # fmt: skip
    assert "#reason=min-area" in made.links


def test_images_that_an_export_leaves_out_say_so(job: Path) -> None:
    assert command("export", job, "--labelled-only", "-q").code == 0
    images = report(job).images
    assert images["b.png"]["o"] == 1 and "x" not in images["b.png"]
    assert "o" not in images["a.png"] and "x" in images["a.png"]


def test_a_job_that_is_not_finished_has_a_page(job: Path, tmp_path: Path) -> None:
    picture(tmp_path / "in" / "c.png")
    with Journal.open_to_write(job) as journal:
        select(journal, Sources((str(tmp_path / "in"),), codec.SUFFIXES))
    made = report(job)
    assert list(made.images) == ["a.png", "b.png"] and made.head["splits"] == []
    assert "2 of 3 images annotated" in made.text and "not annotated yet" in made.text


def test_a_job_in_which_all_failed_has_a_page(job: Path) -> None:
    with Journal.open_to_write(job) as journal:
        refs = list(journal.selection.refs())
        journal.append(1, [Failure(ref, "decode", "corrupt", HOSTILE) for ref in refs])
    made = report(job)
    assert [image["f"] for image in made.images.values()] == [f"decode: {HOSTILE}"] * 2
    assert "failed (2 corrupt)" in made.text and not made.head["classes"]


def test_a_job_without_an_image_has_a_page(tmp_path: Path) -> None:
    out = tmp_path / "out"
    spec = job_spec.build({"sources": (str(tmp_path),)})
    with Journal.create(out) as journal:
        journal.set_value("asked", {"questions": [["<OD>", None]], "tiles": None, "inputs": None})
        journal.runs.begin(job_spec.dump(spec))
    made = report(out)
    assert made.head["images"] == 0 and "0 of 0 images annotated" in made.text


def test_a_job_of_texts_has_a_page(tmp_path: Path) -> None:
    out = written_job(tmp_path, {"a.png": [answer(HOSTILE, task=CAPTION)]}, [Question(CAPTION)])
    made = report(out)
    assert made.images["a.png"]["c"] == [HOSTILE] and made.images["a.png"]["b"] == []
    assert "1 text." in made.text
    truth = tmp_path / "truth.json"
    truth.write_text("{}")
    result = command("report", out, "--ground-truth", truth)
    assert result.code == 2 and "holds no boxes" in result.err


def test_differences_are_those_of_diff(job: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(job / "job.db", other)
    with Journal.open_to_write(job) as journal:
        (first, *_) = list(journal.records())
        relabelled = answer("cat", 100, 125, 500, 500)
        journal.append(1, [replace(first, answers=(relabelled,))])
    made = report(job, "--against", other)
    found = command("diff", other, job, "--json").json
    assert found["instances"]["relabelled"] == 1 == found["instances"]["removed"]
    assert "What changed" in made.text and "#image=a.png" in made.links
    assert command("export", job, "-q").code == 0
    assert command("export", job, "--classes", "cat", "-q").code == 0
    assert "export 1" in report(job, "--against", job).text
    assert command("report", job, "--against", tmp_path / "in").code == 1


def test_a_report_within_a_source_is_no_image_of_it(
    scenes: Path, dataset: Path, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    shutil.copytree(scenes, source)
    (source / "look").mkdir()
    with Journal.open_existing(dataset) as journal:
        write_report(journal, Request(dataset, source / "look" / "a.html"), in_one_file=3)
    assert list((source / "look").rglob("*.jpg"))
    out = tmp_path / "out"
    result = annotate(source, out, "--format", "jsonl", "--images", "none", "--json")
    assert result.code == 0 and result.json["images"]["images"] == 20
    (skipped,) = [one for one in result.json["run"]["skipped"] if "look" in one["name"]]
    folder = str(source / "look" / "a-data")
    assert skipped == {"name": folder, "reason": "it is a folder of a report"}


def test_another_export_leaves_the_page_where_it_is(job: Path) -> None:
    report(job)
    before = {path: path.read_bytes() for path in (job / "report-data").rglob("*.*")}
    assert command("export", job, "-q").code == 0
    assert command("export", job, "--overwrite", "--format", "coco", "-q").code == 0
    assert (job / "report.html").exists()
    assert all(path.read_bytes() == content for path, content in before.items())
