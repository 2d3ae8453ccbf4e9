"""Pages of reports, and a browser to open them in, which notes whatever goes wrong there."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from math import log
from pathlib import Path

import pytest
from conftest import command
from playwright.sync_api import Browser, Locator, Page
from written_answers import answer, attempt, select, written_job

from benchmarks.chromium import NoChromiumError, launched
from florence_annotate.images import codec
from florence_annotate.images.sources import Sources
from florence_annotate.journal import Journal
from florence_annotate.reports.page.writing import Request, write_report
from florence_annotate.types import Answer, Failure

CHUNKED_IMAGES = 60


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    try:
        with launched() as browser:
            yield browser
    except NoChromiumError as error:
        pytest.fail(str(error))


@dataclass
class Visit:
    """A browser's window, and what went wrong in it."""

    page: Page
    troubles: list[str] = field(default_factory=list)

    def open(self, file: Path, hash: str = "") -> Page:
        self.page.goto(file.as_uri() + hash)
        return self.page


def tile(page: Page, key: str) -> Locator:
    return page.locator(f".tile[data-key='{key}']")


@contextmanager
def visiting(browser: Browser, **options: object) -> Iterator[Visit]:
    with closing(browser.new_context(**options)) as context:  # type: ignore[arg-type]
        visit = Visit(context.new_page())
        note = visit.troubles.append
        page = visit.page
        page.set_default_timeout(10_000)
        page.on("console", lambda message: note(message.text))
        page.on("pageerror", lambda error: note(str(error)))
        page.on("dialog", lambda dialog: note(dialog.message))
        page.on("requestfailed", lambda request: note(f"failed: {request.url[:200]}"))
        page.on(
            "request",
            lambda request: request.url.startswith(("file:", "data:")) or note(request.url),
        )
        yield visit


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


def said(*found: tuple[str, float, tuple[int, int, int, int]]) -> list[Answer]:
    """An answer with labels, their scores, and boxes in bins."""
    tokens: list[str | int] = []
    logprobs: list[float] = []
    for label, score, box in found:
        tokens += [label, *box]
        logprobs += [log(score)] * 5
    return [answer(*tokens, logprobs=logprobs)]


LEFT, RIGHT = (100, 200, 450, 700), (550, 200, 900, 700)
TOP, BOTTOM = (100, 20, 900, 180), (100, 750, 900, 980)
STREET = {
    "park/cut.png": said(("person", 0.7, LEFT)),
    "park/empty.png": said(),
    "park/person.png": said(("person", 0.95, RIGHT)),
    "street/car-1.png": said(
        ("car", 0.9, LEFT), ("person", 0.8, RIGHT), ("car", 0.3, TOP), ("sedan", 0.9, BOTTOM)
    ),
    "street/car-2.png": said(("car", 0.6, RIGHT)),
}
"""What was said of each image of `street`; of another one, `park/broken.png`, nothing."""
WIDTHS = {key: 100 + index for index, key in enumerate(STREET)}
TRUTH = {
    "park/cut.png": [("person", LEFT)],
    "park/empty.png": [],
    "park/person.png": [("person", RIGHT)],
    "street/car-1.png": [("car", LEFT), ("person", BOTTOM)],
    "street/car-2.png": [("car", RIGHT)],
}


@pytest.fixture(scope="session")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of six images, exported and with a ground truth: one answer is cut off, one image
    has nothing, one can't be read, and in `street/car-1.png` the person is wrong and one is missed.
    """
    folder = tmp_path_factory.mktemp("street")
    (first,) = STREET["park/cut.png"]
    cut = Answer(
        first.question, first.data, first.ends, first.kinds, first.logprobs, truncated=True
    )
    out = written_job(
        folder, STREET | {"park/cut.png": [cut]}, classes="person,car", synonyms=False,
        min_score=0.5, split="train=0.3,val=0.7", formats="yolo",
    )  # fmt: skip
    fail(out, folder, "park/broken.png", "the file is cut off")
    assert command("export", out, "--max-failures", 1).code == 0
    result = command("report", out, "--ground-truth", write_truth(folder / "truth.json"))
    assert result.code == 0, result.err
    return out / "report.html"


def fail(out: Path, folder: Path, key: str, message: str) -> None:
    """Add an image to a job that could not be read."""
    (folder / "in" / key).write_bytes(b"no image")
    refs = list(Sources((str(folder / "in"),), codec.SUFFIXES))
    with Journal.open_to_write(out) as journal:
        select(journal, refs)
        (ref,) = [ref for ref in refs if ref.key == key]
        journal.append(1, [Failure(ref, "decode", "damaged", message)])


def write_truth(file: Path) -> Path:
    names = ["person", "car"]
    images = [
        {"id": number, "file_name": key, "width": WIDTHS[key], "height": 80}
        for number, key in enumerate(TRUTH)
    ]
    annotations = []
    for number, (key, objects) in enumerate(TRUTH.items()):
        for label, box in objects:
            x1, y1, x2, y2 = (
                edge / 1000 * side
                for edge, side in zip(box, (WIDTHS[key], 80, WIDTHS[key], 80), strict=True)
            )
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": names.index(label),
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": 0,
                }
            )
    categories = [{"id": number, "name": name} for number, name in enumerate(names)]
    file.write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories})
    )
    return file


@pytest.fixture(scope="session")
def chunked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of sixty images in chunks of ten. Not to be written to."""
    folder = tmp_path_factory.mktemp("chunked")
    answers = {
        f"{number:03}.png": said(("car" if number % 3 else "dog", 0.5 + number / 200, LEFT))
        for number in range(CHUNKED_IMAGES)
    }
    out = written_job(folder, answers)
    with Journal.open_existing(out) as journal:
        write_report(journal, Request(out), in_one_file=10, a_chunk=10)
    return out / "report.html"
