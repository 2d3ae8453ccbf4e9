"""What large inputs take: a folder, a scene, an image and a class list, each far beyond the usual.

    python -m benchmarks.limits [--rows folder,scene,pixels,classes] [--images N,N,…]

`folder`: one flat folder of so many files (hard links to a hundred painted scenes), of which a run
annotates eight; the others are then given the answers of those, so that a run finds all done.
`scene`: a mosaic of painted scenes as one image with 2,000 objects, asked in 256 tiles, with its
boxes given as regions, and evaluated against them. `pixels`: 20,000 by 10,000 of them, as JPEG and
as PNG. `classes`: a list of 10,000. The embedded checkpoint annotates, on the CPU.

Every command is the one that users have, in a process of its own: user CPU time of it and of its
readers, seconds, the peak memory of the process by the operating system, and of the largest of its
readers, where it had any.
"""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.measuring import add_cache, parser, save
from florence_annotate.shapes.demo import GROUND_TRUTH, write_demo

HERE = Path(__file__).parent.parent
FIRST_SEED = 3_700_000
SCENES = 100
"""Whose files the folder links to: a file has at most 65,000 names."""
ASKED = 8
"""Images of the folder that a run annotates."""
TILES = 16
"""Of the mosaic, in each direction."""
BOXES = 2000
WIDE, HIGH = 20_000, 10_000
CLASSES = 10_000
PROMPTS = 1000
"""Classes that are asked by name, a question each."""
_DRIVER = """
import json, resource, sys
from pathlib import Path
from florence_annotate.cli import main
result, *arguments = sys.argv[1:]
sys.argv = ["florence-annotate", *arguments]
code = 0
try:
    main()
except SystemExit as end:
    code = end.code or 0
finally:
    own, others = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
    Path(result).write_text(json.dumps({
        "code": code,
        "user": own.ru_utime + others.ru_utime,
        "peak": peak / 1024,
        "reader": others.ru_maxrss / 1024,
    }))
"""
"""Runs in a process of its own, and writes what that took."""
_MODEL = ("--model", "shapes", "--no-canary")


@dataclass(frozen=True)
class Cost:
    """What a command took."""

    name: str
    user_s: float
    elapsed_s: float
    peak_mb: float
    reader_mb: float
    code: int


class Bench:
    """A folder to work in, and the rows of the table so far."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.costs: list[Cost] = []

    def command(self, name: str, *arguments: object, expected: Sequence[int] = (0,)) -> str:
        """Run a command, note what it took under a name, and return what it printed.

        `expected` are the exit codes that are no error here.
        """
        result = self.folder / f"result-{os.getpid()}.json"
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", _DRIVER, str(result), *map(str, arguments)],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(HERE)},
            capture_output=True,
            text=True,
            check=False,
        )
        elapsed = time.perf_counter() - began
        if not result.exists():
            raise SystemExit(f"{name}: {done.stderr}")
        found = json.loads(result.read_text())
        result.unlink()
        if found["code"] not in expected:
            raise SystemExit(f"{name} ended with {found['code']}: {done.stderr}")
        cost = Cost(
            name, found["user"], elapsed, found["peak"], found["reader"] or 0.0, found["code"]
        )
        self.costs.append(cost)
        _tell(cost)
        return done.stdout + done.stderr


def _tell(cost: Cost) -> None:
    is_reading = cost.reader_mb > 1.1 * cost.peak_mb
    reader = f", readers {cost.reader_mb:,.0f} MB" if is_reading else ""
    print(
        f"| {cost.name} | {cost.user_s:.1f} s | {cost.elapsed_s:.1f} s "
        f"| {cost.peak_mb:,.0f} MB{reader} |",
        flush=True,
    )


# One flat folder


def folder(bench: Bench, counts: Sequence[int]) -> None:
    originals = bench.folder / "originals"
    if not originals.exists():
        write_demo(originals, count=SCENES, seed=FIRST_SEED)
        (originals / GROUND_TRUTH).unlink()
    for count in counts:
        source, out = bench.folder / f"flat-{count}", bench.folder / f"flat-{count}-out"
        _link(sorted(originals.iterdir()), source, count)
        shutil.rmtree(out, ignore_errors=True)
        said = f"{count:,} files"
        bench.command(f"{said}: `run --dry-run`", "run", source, "-o", out, *_MODEL, "--dry-run")
        limited = ("--limit", ASKED, "--images", "none", "-q")
        bench.command(f"{said}: `run --limit {ASKED}`", "run", source, "-o", out, *_MODEL, *limited)
        bench.command(f"{said}: `status`, {ASKED} annotated", "status", out)
        _annotate_all(out / "job.db")
        bench.command(f"{said}: `resume`, the first dataset of all", "resume", out, "-q")
        bench.command(f"{said}: `resume`, nothing left", "resume", out, "-q")
        bench.command(f"{said}: `status`, all annotated", "status", out)
        bench.command(f"{said}: `export --min-score 0.01`", "export", out, "-q",
                      "--min-score", "0.01")  # fmt: skip
        shutil.rmtree(out)


def _link(originals: Sequence[Path], source: Path, count: int) -> None:
    """A folder of so many hard links, made once."""
    if source.exists():
        return
    part = source.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    for number in range(count):
        os.link(originals[number % len(originals)], part / f"image-{number:06}.jpg")
    part.rename(source)


def _annotate_all(journal: Path) -> None:
    """Give each image that has no answers those of one that has, and take the limit away."""
    connection = sqlite3.connect(journal)
    connection.execute("PRAGMA synchronous=OFF")
    asked = connection.execute("SELECT seq, sha, width, height FROM attempts").fetchall()
    answers = {
        seq: connection.execute("SELECT * FROM answers WHERE attempt = ?", (seq,)).fetchall()
        for seq, *_ in asked
    }
    left = connection.execute(
        "SELECT id, path, size_bytes, mtime_ns, inode FROM images "
        "WHERE id NOT IN (SELECT image FROM attempts)"
    ).fetchall()
    for number, (image, path, size, changed, inode) in enumerate(left):
        seq, _, width, height = asked[number % len(asked)]
        content = connection.execute(
            "INSERT INTO attempts "
            "(image, run, path, size_bytes, mtime_ns, sha, width, height, inode) "
            "VALUES (?, 1, ?, ?, ?, ?, ?, ?, ?)",
            (image, path, size, changed, f"{image:064x}", width, height, inode),
        )
        for row in answers[seq]:
            marks = ", ".join("?" * len(row))
            connection.execute(
                f"INSERT INTO answers VALUES ({marks})", (content.lastrowid, *row[1:])
            )
    connection.execute("UPDATE runs SET settings = json_set(settings, '$.limit', NULL)")
    connection.execute("UPDATE images SET selected = 1")
    connection.commit()
    connection.close()


# A scene of 2,000 objects


def scene(bench: Bench) -> None:
    source, truth = bench.folder / "scene", bench.folder / "scene.json"
    if not truth.exists():
        _mosaic(bench.folder, source, truth)
    out, asked = bench.folder / "scene-out", bench.folder / "scene-regions-out"
    for each in (out, asked):
        shutil.rmtree(each, ignore_errors=True)
    tiles = f"{TILES}x{TILES}"
    formats = ("--format", "yolo,coco,jsonl,voc,labelme,label-studio,cvat,parquet,imagefolder")
    bench.command(f"scene: `run --tiles {tiles}`", "run", source, "-o", out, *_MODEL,
                  "--tiles", tiles, "-q")  # fmt: skip
    overlaps = ("--nms", "0.5", "--nms-across-classes", "0.7", "--drop-containers", "-q")
    bench.command("scene: `export --nms … --nms-across-classes …`", "export", out, *overlaps)
    bench.command("scene: `export --format`, nine of them", "export", out, *formats, "-q")
    bench.command("scene: `export --visuals`", "export", out, "--visuals", "-q")
    _read(bench, "scene", out, "mosaic.png")
    bench.command("scene: `eval`", "eval", out, "--ground-truth", truth)
    bench.command("scene: `report --ground-truth`", "report", out, "--ground-truth", truth,
                  "-o", bench.folder / "scene-page.html")  # fmt: skip
    bench.command("scene: `export --min-score 0.9`", "export", out, "--min-score", "0.9", "-q")
    bench.command("scene: `explain`, most left out", "explain", out, "mosaic.png")
    regions = ("--task", "region-to-category", "--regions", truth)
    bench.command("scene: `run --regions`", "run", source, "-o", asked, *_MODEL, *regions, "-q")


def _mosaic(folder: Path, source: Path, truth: Path) -> None:
    """One image of many painted scenes, and a ground truth of as many boxes as are wanted."""
    painted = folder / "scene-parts"
    shutil.rmtree(painted, ignore_errors=True)
    write_demo(painted, count=8 * TILES * TILES, seed=FIRST_SEED)
    document = json.loads((painted / GROUND_TRUTH).read_text())
    crowded: dict[int, list[dict[str, Any]]] = {}
    for one in document["annotations"]:
        crowded.setdefault(one["image_id"], []).append(one)
    names = {image["id"]: image["file_name"] for image in document["images"]}
    fullest = sorted(crowded, key=lambda image: (-len(crowded[image]), image))[: TILES * TILES]
    side = 512
    whole = Image.new("RGB", (TILES * side, TILES * side))
    boxes: list[dict[str, Any]] = []
    for place, image in enumerate(fullest):
        top, left = (side * each for each in divmod(place, TILES))
        with Image.open(painted / names[image]) as part:
            across, down = side / part.width, side / part.height
            whole.paste(part.resize((side, side), Image.Resampling.BICUBIC), (left, top))
        for one in crowded[image]:
            x, y, width, height = one["bbox"]
            box = [left + x * across, top + y * down, width * across, height * down]
            boxes.append(
                {
                    "id": len(boxes) + 1,
                    "image_id": 1,
                    "iscrowd": 0,
                    "bbox": box,
                    "area": box[2] * box[3],
                    "category_id": one["category_id"],
                }
            )
    size = {"width": whole.width, "height": whole.height}
    source.mkdir(exist_ok=True)
    whole.save(source / "mosaic.png", compress_level=1)
    content = {
        "images": [{"id": 1, "file_name": "mosaic.png", **size}],
        "annotations": boxes[:BOXES],
        "categories": document["categories"],
    }
    truth.write_text(json.dumps(content))
    shutil.rmtree(painted)
    if len(boxes) < BOXES:
        raise SystemExit(f"the fullest scenes have {len(boxes)} boxes: paint more")


def _read(bench: Bench, what: str, out: Path, image: str) -> None:
    """The commands that read a job with one image."""
    picture = bench.folder / "picture.jpg"
    bench.command(f"{what}: `stats`", "stats", out)
    bench.command(f"{what}: `explain`", "explain", out, image)
    bench.command(f"{what}: `explain --picture`", "explain", out, image, "--picture", picture)
    picture.unlink()
    page = bench.folder / "page.html"
    bench.command(f"{what}: `report`", "report", out, "-o", page)
    page.unlink()
    shutil.rmtree(page.with_suffix(""), ignore_errors=True)


# An image of 200 megapixels


def pixels(bench: Bench) -> None:
    tile = bench.folder / "originals"
    if not tile.exists():
        write_demo(tile, count=SCENES, seed=FIRST_SEED)
        (tile / GROUND_TRUTH).unlink()
    for suffix in ("jpg", "png"):
        source = bench.folder / f"pixels-{suffix}"
        file = source / f"large.{suffix}"
        if not file.exists():
            source.mkdir(exist_ok=True)
            _paint_large(sorted(tile.iterdir()), file)
        out = bench.folder / "pixels-out"
        shutil.rmtree(out, ignore_errors=True)
        what = f"200 MP {suffix.upper()}"
        run = ("run", source, "-o", out, *_MODEL, "-q")
        bench.command(f"{what}: `run`, refused", *run, expected=(3,))
        said = bench.command(f"{what}: `failures`", "failures", out)
        hint = re.findall(r"--retry-failed|--max-pixels \d+(?= reads)", said)
        raised = " ".join(hint).split()  # as the command itself says it
        bench.command(f"{what}: `resume`, as it says", "resume", out, "-q", *raised)
        bench.command(f"{what}: `export --visuals`", "export", out, "--visuals", "-q")
        bench.command(f"{what}: `export --images copy`", "export", out, "--images", "copy", "-q")
        _read(bench, what, out, file.name)
        shutil.rmtree(out)
        tiled = (*run, "--max-pixels", WIDE * HIGH, "--tiles", "8x4")
        bench.command(f"{what}: `run --max-pixels --tiles 8x4`", *tiled)
        shutil.rmtree(out)
        several = _four_times(file, bench.folder / f"pixels-{suffix}-4")
        bench.command(f"4 of {what}: `run --workers 4`", "run", several, "-o", out, *_MODEL, "-q",
                      "--max-pixels", WIDE * HIGH, "--workers", 4, "--batch-size", 1)  # fmt: skip
        shutil.rmtree(out)


def _paint_large(originals: Sequence[Path], file: Path) -> None:
    """An image of the scenes beside each other."""
    whole = Image.new("RGB", (WIDE, HIGH))
    columns = 20
    side = WIDE // columns
    for place in range(columns * (HIGH // side)):
        row, column = divmod(place, columns)
        with Image.open(originals[place % len(originals)]) as part:
            whole.paste(part.resize((side, side)), (column * side, row * side))
    unfinished = file.with_name(f"part{file.suffix}")
    whole.save(unfinished, compress_level=1, quality=90)
    unfinished.rename(file)


def _four_times(file: Path, folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for number in range(4):
        os.link(file, folder / f"{number}{file.suffix}")
    return folder


# A list of 10,000 classes


def classes(bench: Bench) -> None:
    source, out = bench.folder / "classes", bench.folder / "classes-out"
    shutil.rmtree(out, ignore_errors=True)
    if not source.exists():
        write_demo(source, count=SCENES, seed=FIRST_SEED)
    names = ["circle", "square", *(_class_name(number) for number in range(CLASSES - 2))]
    named, longer, renamed, turned = (
        _listed(bench.folder / f"{name}.txt", content)
        for name, content in (
            ("named", names),
            ("longer", [*names, "one more"]),
            ("renamed", [*names[:-1], "another name"]),
            ("turned", names[::-1]),
        )
    )
    detection = ("--strategy", "od")
    bench.command("10,000 classes: `run`", "run", source, "-o", out, *_MODEL, *detection, "-q",
                  "--classes-file", named)  # fmt: skip
    export = ("export", out, "-q")
    formats = ("--format", "yolo,coco,jsonl,voc,labelme,label-studio,cvat,parquet,imagefolder")
    bench.command("10,000 classes: `export --format`, nine of them", *export, *formats)
    bench.command("10,000 classes: `export --min-score`", *export, "--min-score", "0.1")
    bench.command("10,000 classes: `export --classes-file`, one more", *export,
                  "--classes-file", longer)  # fmt: skip
    bench.command("10,000 classes: `export --classes-file`, one renamed", *export,
                  "--classes-file", renamed, "--renumber")  # fmt: skip
    bench.command("10,000 classes: `export --classes-file`, another order, refused", *export,
                  "--classes-file", turned, expected=(1, 2))  # fmt: skip
    bench.command("10,000 classes: `status`", "status", out)
    _read(bench, "10,000 classes", out, f"scene-{FIRST_SEED}.jpg")
    shutil.rmtree(out)
    some = _listed(bench.folder / "some.txt", names[:PROMPTS])
    bench.command(f"{PROMPTS:,} classes by prompt: `run --limit 1`", "run", source, "-o", out,
                  *_MODEL, "--strategy", "open-vocabulary", "-q", "--classes-file", some,
                  "--limit", "1")  # fmt: skip
    shutil.rmtree(out)


def _listed(file: Path, names: Sequence[str]) -> Path:
    file.write_text("".join(f"{name}\n" for name in names))
    return file


def _class_name(number: int) -> str:
    """Words of letters, as in a list of species."""
    letters = "".join("bcdfghklmnprstvw"[(number >> 4 * place) & 15] + "a" for place in range(4))
    return f"{letters} finch"


ROWS = ("folder", "scene", "pixels", "classes")


def main() -> None:
    options = parser("limits", __doc__)
    options.add_argument("--rows", default=",".join(ROWS), help="[default: %(default)s]")
    options.add_argument("--images", default="30000,300000", help="[default: %(default)s]")
    add_cache(options)
    given = options.parse_args()
    rows = given.rows.split(",")
    if other := set(rows) - {*ROWS}:
        options.error(f"--rows {','.join(other)}: choose from {', '.join(ROWS)}")
    bench = Bench(given.cache / "limits")
    print("| command | user CPU time | elapsed | peak memory |\n| --- | --- | --- | --- |")
    if "folder" in rows:
        folder(bench, [int(count) for count in given.images.split(",")])
    if "scene" in rows:
        scene(bench)
    if "pixels" in rows:
        pixels(bench)
    if "classes" in rows:
        classes(bench)
    command_line = f"python -m benchmarks.limits --rows {given.rows} --images {given.images}"
    save("limits", command_line, {"rows": [asdict(cost) for cost in bench.costs]})


if __name__ == "__main__":
    main()
