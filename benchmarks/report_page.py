"""The page of `report` at 5,000 and 50,000 images: what it takes to make, and in Chromium.

    python -m benchmarks.report_page [--images N ...] [--turns N]

The jobs are synthetic: painted scenes, each file with its number behind the image so that no two
are the same, and for each an answer with ten boxes to keep and two that are dropped; they are
exported. What is measured of a first report, which makes all thumbnails, and of a further one,
each in a process of its own: processor time, and memory above what the imports take. Of the page,
in a browser that starts anew for each turn: when the first tiles are painted and when all images
are loaded, counted from the navigation; how long filters take until the gallery shows what they
find; the memory of the page's process, and of its JavaScript after a collection.
"""

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median

from playwright.sync_api import CDPSession, Page, expect

from benchmarks.chromium import launched
from benchmarks.measuring import add_cache, parser, save
from florence_annotate.config import job_spec
from florence_annotate.images import codec
from florence_annotate.images.sources import Sources
from florence_annotate.journal import Journal
from florence_annotate.reports.page.writing import Request, write_report
from florence_annotate.shapes.demo import GROUND_TRUTH, write_demo
from florence_annotate.tasks import OD
from florence_annotate.types import Answer, ImageRef, Question, Record, TokenKind

SCENES = 200
FIRST_SEED = 3_600_000
KEPT, DROPPED = 10, 2
"""Boxes an image."""
CLASSES = ("person", "car", "bicycle", "dog", "bus", "traffic light", "bench", "bird", "tree")
FILTERS = (
    *("class=car", "class=car&class=dog&score=0.6-0.7", "text=0499", "show=dropped"),
    *("reason=min-score&class=bus", "sort=worst", "sort=worst&class=tree"),
)
BAR = 2.0
"""Seconds until the first tiles of 5,000 images are painted."""

_NOTE_FIRST_TILES = """
const look = () => {
  const image = document.querySelector(".tile img");
  if (!image?.complete || !image.naturalWidth) requestAnimationFrame(look);
  else requestAnimationFrame(() => requestAnimationFrame(() => {
    globalThis.firstTiles = performance.now();
  }));
};
look();
"""
_FILTER = """address => new Promise((resolve) => {
  const began = performance.now();
  addEventListener("hashchange", () => {  // the page's own listener came before
    document.body.offsetHeight;  // so that the new tiles are laid out
    resolve(performance.now() - began);
  }, { once: true });
  location.hash = address;
})"""


@dataclass(frozen=True)
class Figures:
    """Of one visit; seconds from the navigation, milliseconds of filters, and megabytes."""

    first_tiles_s: float
    all_loaded_s: float
    filters_ms: Mapping[str, float]
    heap_mb: float
    """JavaScript's own, typed arrays among it, after a collection."""
    process_mb: float
    """What the page's process has resident."""
    peak_mb: float


@dataclass(frozen=True)
class Making:
    """What a report took, without the imports."""

    seconds: float
    processor_s: float
    """Of all threads."""
    memory_mb: float
    """At most."""


def make_page(folder: Path, images: int) -> Path:
    """The page of a job of so many images, many of which are the same."""
    out = make_job(folder, images, are_distinct=False)
    with Journal.open_existing(out) as journal:
        return write_report(journal, Request(out)).page


def make_job(folder: Path, images: int, *, are_distinct: bool) -> Path:
    """The output of a job of so many images, made once; nobody asked for its page yet."""
    out = folder / "out"
    if (out / "whole").exists():
        return out
    shutil.rmtree(folder, ignore_errors=True)
    _place_scenes(folder, images, are_distinct)
    source = folder / "in"
    with Journal.create(out) as journal:
        spec = job_spec.build({"sources": (str(source),), "min_score": 0.5})
        asked = {"questions": [[OD, None]], "tiles": None, "inputs": None}
        journal.set_value("asked", asked)
        run = journal.runs.begin(job_spec.dump(spec))
        refs = list(Sources((str(source),), codec.SUFFIXES))
        journal.selection.note(refs, None)
        journal.selection.take_over()
        records = list(_records(refs))
        for first in range(0, len(records), 1000):
            journal.append(run, records[first : first + 1000])
    (out / "whole").touch()
    return out


def _place_scenes(folder: Path, images: int, are_distinct: bool) -> None:
    """A hundred images a folder."""
    scenes = folder / "scenes"
    write_demo(scenes, count=SCENES, seed=FIRST_SEED)
    (scenes / GROUND_TRUTH).unlink()
    files = sorted(scenes.iterdir())
    for number in range(images):
        place = folder / "in" / f"{number // 100:03}" / f"image-{number:06}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        if are_distinct:  # what follows a JPEG's end is not decoded
            place.write_bytes(files[number % SCENES].read_bytes() + b"%d" % number)
        else:
            os.link(files[number % SCENES], place)


def measure_making(out: Path) -> Making:
    """A report, in a process that made none before."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(_make, (out,))


def _make(out: Path) -> Making:
    Path("/proc/self/clear_refs").write_text("5")  # the most that was resident is counted from now
    before, _ = _resident("self")
    began, processor = time.perf_counter(), time.process_time()
    with Journal.open_existing(out) as journal:
        write_report(journal, Request(out))
    took = time.perf_counter() - began, time.process_time() - processor
    _, most = _resident("self")
    return Making(*took, most - before)


def _records(refs: Sequence[ImageRef]) -> Iterator[Record]:
    chance = random.Random(1)
    known: dict[int, tuple[str, int, int]] = {}
    for ref in refs:
        inode = os.stat(ref.path).st_ino
        if inode not in known:
            data = codec.read_bytes(ref.path)
            image = codec.decode(data)
            known[inode] = codec.digest(data), image.width, image.height
        yield Record(ref, *known[inode], (_answer(chance),))


def _answer(chance: random.Random) -> Answer:
    pieces: list[bytes] = []
    kinds: list[TokenKind] = []
    logprobs: list[float] = []
    for number in range(KEPT + DROPPED):
        left, top = chance.randrange(700), chance.randrange(700)
        edges = left, top, left + chance.randrange(50, 300), top + chance.randrange(50, 300)
        pieces += [chance.choice(CLASSES).encode(), *(b"<loc_%d>" % edge for edge in edges)]
        kinds += [TokenKind.TEXT, *[TokenKind.LOCATION] * 4]
        lowest = -0.6 if number < KEPT else -1.5  # logarithms: scores above, and below 0.5
        logprobs += [chance.uniform(lowest, lowest + 0.5)] * 5
    ends = tuple(sum(map(len, pieces[: place + 1])) for place in range(len(pieces)))
    return Answer(Question(OD), b"".join(pieces), ends, tuple(kinds), tuple(logprobs), False)


def visit(file: Path, images: int) -> Figures:
    """Open the page of so many images in a browser of its own."""
    with launched() as browser:
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.add_init_script(_NOTE_FIRST_TILES)
        page.goto(file.as_uri(), wait_until="commit")
        whole = f"{images:,} of {images:,} images"
        expect(page.locator("#count")).to_have_text(whole, timeout=60_000)
        loaded = page.evaluate("performance.now()")
        session = page.context.new_cdp_session(page)
        session.send("HeapProfiler.collectGarbage")
        heap = page.evaluate("performance.memory.usedJSHeapSize")
        resident, peak = _memory(browser.new_browser_cdp_session())
        filters = {each: round(_filtering(page, each), 1) for each in FILTERS}
        first = page.evaluate("globalThis.firstTiles")
        return Figures(first / 1000, loaded / 1000, filters, heap / 1e6, resident, peak)


def _filtering(page: Page, address: str) -> float:
    return float(page.evaluate(_FILTER, f"#{address}"))


def _memory(session: CDPSession) -> tuple[float, float]:
    """Of the largest process that draws a page: what is resident, and what was at most."""
    processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    return max(_resident(one["id"]) for one in processes if one["type"] == "renderer")


def _resident(process: object) -> tuple[float, float]:
    """Megabytes of a process in memory: now, and at most."""
    status = Path(f"/proc/{process}/status").read_text()
    now, most = (int(status.split(name)[1].split()[0]) / 1e3 for name in ("VmRSS:", "VmHWM:"))
    return now, most


def main() -> None:
    options = parser("report_page", __doc__)
    options.add_argument("--images", type=int, nargs="+", default=[5_000, 50_000])
    options.add_argument("--turns", type=int, default=5, help="[default: %(default)s]")
    add_cache(options)
    given = options.parse_args()
    with launched() as browser:
        content: dict[str, object] = {"chromium": browser.version}
    for images in given.images:
        out = make_job(given.cache / "report-page" / str(images), images, are_distinct=True)
        subprocess.run([sys.executable, "-m", "florence_annotate", "export", out, "-q"], check=True)
        shutil.rmtree(out / "report-data", ignore_errors=True)
        first_made, made_again = measure_making(out), measure_making(out)
        for name, made in (("first", first_made), ("further", made_again)):
            print(
                f"{images:,} images: {name} report {made.seconds:.1f} s, "
                f"{made.processor_s:.1f} s of processor time, {made.memory_mb:.0f} MB"
            )
        visits = [visit(out / "report.html", images) for _ in range(given.turns)]
        first, loaded, heap, peak = (
            median(getattr(one, name) for one in visits)
            for name in ("first_tiles_s", "all_loaded_s", "heap_mb", "peak_mb")
        )
        slowest = max(median(one.filters_ms[each] for one in visits) for each in FILTERS)
        print(
            f"{images:,} images: first tiles {first:.2f} s, all loaded {loaded:.2f} s, "
            f"slowest filter {slowest:.0f} ms, heap {heap:.0f} MB, process at most {peak:.0f} MB"
        )
        content[f"{images} images"] = {
            "first report": asdict(first_made),
            "further report": asdict(made_again),
            "visits": [asdict(one) for one in visits],
        }
    counts = " ".join(map(str, given.images))
    command = f"python -m benchmarks.report_page --images {counts} --turns {given.turns}"
    save("report-page", command, {"boxes an image": KEPT + DROPPED, "bar s": BAR, **content})


if __name__ == "__main__":
    main()
