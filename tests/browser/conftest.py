"""Pages of reports, and a browser to open them in."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from browsing import Visit, visiting
from conftest import command
from playwright.sync_api import Browser
from written_answers import answer, scored, select, written_job
from written_truth import truth_of

from benchmarks.chromium import NoChromiumError, launched
from florence_annotate.images import codec
from florence_annotate.images.sources import Sources
from florence_annotate.journal import Journal
from florence_annotate.reports.page.writing import Request, write_report
from florence_annotate.tasks import CAPTION
from florence_annotate.types import Failure, Question

LEFT, RIGHT = (100, 200, 450, 700), (550, 200, 900, 700)
TOP, BOTTOM = (100, 20, 900, 180), (100, 750, 900, 980)
"""Boxes in bins."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Playwright's event loop runs as long as this, in the thread of the tests: not longer than the
    tests that use it."""
    try:
        with launched() as browser:
            yield browser
    except NoChromiumError as error:
        pytest.fail(str(error))


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """In which nothing may go wrong."""
    with visiting(browser, viewport={"width": 1280, "height": 1400}) as visit:
        yield visit
        assert visit.troubles == []


@pytest.fixture
def troubled_visit(browser: Browser) -> Iterator[Visit]:
    """In which something may: the test says what."""
    with visiting(browser) as visit:
        yield visit


@pytest.fixture(scope="session")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of six images, exported and with a ground truth. Not to be written to.

    In park/ an answer is cut off, one image has nothing, and one can't be read; in
    street/car-1.png the person is wrong, another one is missed, a car has a low score, and a sedan
    is of no class.
    """
    folder = tmp_path_factory.mktemp("street")
    said = {
        "park/cut.png": [replace(scored(("person", 0.7, LEFT)), truncated=True)],
        "park/empty.png": [scored()],
        "park/person.png": [scored(("person", 0.95, RIGHT))],
        "street/car-1.png": [
            scored(
                ("car", 0.9, LEFT), ("person", 0.8, RIGHT),
                ("car", 0.3, TOP), ("sedan", 0.9, BOTTOM),
            )
        ],
        "street/car-2.png": [scored(("car", 0.6, RIGHT))],
    }  # fmt: skip
    true = {
        "park/cut.png": [("person", LEFT)],
        "park/empty.png": [],
        "park/person.png": [("person", RIGHT)],
        "street/car-1.png": [("car", LEFT), ("person", BOTTOM)],
        "street/car-2.png": [("car", RIGHT)],
    }
    out = written_job(
        folder, said, classes="person,car", synonyms=False, min_score=0.5,
        split="train=0.3,val=0.7", formats="yolo",
    )  # fmt: skip
    _add_failed(out, folder, "park/broken.png")
    assert command("export", out, "--max-failures", 1).code == 0
    in_pixels = {
        key: [
            (label, [edge * side / 1000 for edge, side in zip(box, (width, 80) * 2, strict=True)])
            for label, box in objects
        ]
        for width, (key, objects) in enumerate(true.items(), 100)  # as `written_job` paints them
    }
    truth = folder / "truth.json"
    truth.write_text(json.dumps(truth_of(in_pixels, ("person", "car"))))
    result = command("report", out, "--ground-truth", truth)
    assert result.code == 0, result.err
    return out / "report.html"


def _add_failed(out: Path, folder: Path, key: str) -> None:
    """Add an image to a job that can't be read."""
    (folder / "in" / key).write_bytes(b"no image")
    refs = list(Sources((str(folder / "in"),), codec.SUFFIXES))
    with Journal.open_to_write(out) as journal:
        select(journal, refs)
        (ref,) = [ref for ref in refs if ref.key == key]
        journal.append(1, [Failure(ref, "decode", "damaged", "the file is cut off")])


@pytest.fixture(scope="session")
def chunked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of sixty images in chunks of ten, every third of which has a dog, others a car. Not
    to be written to."""
    answers = {
        f"{number:03}.png": [scored(("car" if number % 3 else "dog", 0.5 + number / 200, LEFT))]
        for number in range(60)
    }
    out = written_job(tmp_path_factory.mktemp("chunked"), answers)
    with Journal.open_existing(out) as journal:
        write_report(journal, Request(out), in_one_file=10, a_chunk=10)
    return out / "report.html"


@pytest.fixture(scope="session")
def captioned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of an image with a caption alone. Not to be written to."""
    said = {"1.png": [answer("a red field", task=CAPTION)]}
    out = written_job(tmp_path_factory.mktemp("captioned"), said, [Question(CAPTION)])
    assert command("report", out).code == 0
    return out / "report.html"
