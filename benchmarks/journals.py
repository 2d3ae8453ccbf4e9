"""Exports and an idle resume of a job of 100,000 images, against another commit's.

    python -m benchmarks.journals --against CHECKOUT [--images N] [--turns N] [TABLE ...]

The journal is real: the embedded checkpoint annotates some hundred painted scenes, and what it
said is appended under 100,000 keys in nested folders, each a small file of its own whose size, time
and hash fit. Both commits work in turn on copies of the same journal. What is compared is CPU time
of the whole command, user and system, and user alone, which others on the machine change least; and
its peak memory, and the files that both wrote, by hash. How long it took stands beside that.

`two` exports yolo and coco; `unchanged` does so again; `resume` goes on with that job, in which
nothing is left to do, with the listing of its sources (measured apart) taken off; `nine` exports
nine formats at once; `placing` is `two` with the images linked, less `two`. All but that have
`--images none`: for `nine` the refusal of formats that are read beside their images is lifted, in
both commits alike. To measure a commit alone, leave `--against` out.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import Any

from PIL import Image

from benchmarks.measuring import add_cache, parser, save
from florence_annotate.shapes.demo import GROUND_TRUTH, write_demo

HERE = Path(__file__).parent.parent
SCENES = 300
FIRST_SEED = 3_500_000
SMALL = 48
"""Pixels of the longer side of the files; what they weigh is not measured here."""
NINE = "yolo,coco,coco-results,voc,labelme,label-studio,cvat,parquet,jsonl"
KINDS = ("user", "cpu", "elapsed")
"""Seconds that are measured: cpu is user and system."""
BARS = {"two": 0.6, "unchanged": 0.35, "resume": 0.25, "nine": 0.35}

_DRIVER = """
import contextlib, json, os, sys
from pathlib import Path
what, report, *arguments = sys.argv[1:]
outcome = {}
if what == "list":
    try:
        from florence_annotate.images.sources import Sources
    except ImportError:
        from florence_annotate.sources import Sources
    begun = os.times()
    found = sum(1 for _ in Sources(arguments, frozenset({".jpg"})))
    ended = os.times()
    seconds = [after - before for after, before in zip(ended, begun)]
    outcome = {"user": seconds[0], "cpu": seconds[0] + seconds[1], "elapsed": seconds[4]}
    outcome["images"] = found
else:
    from florence_annotate.cli import main
    try:
        from florence_annotate.formats.registry import FORMATS
    except ImportError:
        from florence_annotate.formats import FORMATS
    for one in FORMATS.values() if what == "lifted" else ():
        for name in ("lies_beside_pictures", "lies_beside_images"):
            if hasattr(one, name):
                object.__setattr__(one, name, False)
    sys.argv = ["florence-annotate", *arguments]
    with contextlib.suppress(SystemExit):
        main()
status = Path("/proc/self/status").read_text()
outcome["peak_kb"] = int(status.split("VmHWM:")[1].split()[0])
Path(report).write_text(json.dumps(outcome))
"""
"""Runs in a process of its own with the code of one commit, and says what peaked there."""


@dataclass(frozen=True)
class Run:
    """What one process took."""

    seconds: dict[str, float]
    """Of each kind of `KINDS`."""
    peak_mb: float


@dataclass
class Contestant:
    """A commit's code, and the output folder that it works on."""

    name: str
    checkout: Path
    folder: Path
    runs: dict[str, list[Run]] = field(default_factory=dict)
    begun: int = 0

    @property
    def out(self) -> Path:
        return self.folder / str(self.begun)

    @property
    def environment(self) -> dict[str, str]:
        """Modules are compiled once, as for a user, also where Python is told to keep none."""
        own = {"PYTHONPATH": str(self.checkout), "PYTHONPYCACHEPREFIX": f"{self.folder}-compiled"}
        return {**os.environ, **own, "PYTHONDONTWRITEBYTECODE": ""}

    def compile(self) -> None:
        """The package's modules, and what they import."""
        for command in ("-m compileall -q florence_annotate", "-m florence_annotate doctor"):
            subprocess.run(
                [sys.executable, *command.split()],
                cwd=self.checkout,
                env=self.environment,
                stdout=subprocess.DEVNULL,
                check=True,
            )

    def begin(self, journal: Path) -> None:
        """A fresh copy of the job, with nothing exported.

        Those of earlier turns stay till the end: ext4 makes files slowly where as many were deleted
        just before.
        """
        self.begun += 1
        self.out.mkdir(parents=True)
        shutil.copy(journal, self.out / "job.db")

    def run(self, table: str, what: str, *arguments: object) -> None:
        report = self.folder.with_name(f"{self.name}-report.json")
        report.unlink(missing_ok=True)
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-c", _DRIVER, what, str(report), *map(str, arguments)],
            cwd=self.checkout,
            env=self.environment,
            stdout=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        elapsed = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode or not report.exists():
            raise SystemExit(f"{self.name}: {' '.join(map(str, arguments))} failed")
        outcome = json.loads(report.read_text())
        whole = (usage.ru_utime, usage.ru_utime + usage.ru_stime, elapsed)
        # a listing is timed within its process, without what starts one
        seconds = {kind: outcome.get(kind, own) for kind, own in zip(KINDS, whole, strict=True)}
        run = Run(seconds, outcome["peak_kb"] / 1024)
        told = ", ".join(f"{kind} {value:.2f} s" for kind, value in seconds.items())
        print(f"  {table}, {self.name}: {told}, {run.peak_mb:.0f} MB", flush=True)
        self.runs.setdefault(table, []).append(run)

    def files(self) -> dict[str, str]:
        """Path → hash of what it exported last."""
        found: dict[str, str] = json.loads((self.out / "summary.json").read_text())["files"]
        return found

    def seconds(self, table: str, kind: str) -> list[float]:
        """Seconds of each turn of a table, without what is measured apart."""
        apart = {"resume": "listing", "placing": "two"}.get(table)
        without = median(self.seconds(apart, kind)) if apart else 0.0
        return [run.seconds[kind] - without for run in self.runs[table]]


def make_job(folder: Path, images: int, checkout: Path) -> Path:
    """The journal of a job of so many images, made once; its images lie beside it.

    The commit in `checkout` asks the embedded checkpoint, so that the job is one of its own.
    """
    if (folder / "job.db").exists():
        return folder / "job.db"
    shutil.rmtree(folder, ignore_errors=True)
    scenes, small = folder / "scenes", folder / "in"
    write_demo(scenes, count=SCENES, seed=FIRST_SEED)
    (scenes / GROUND_TRUTH).unlink()
    seed = Contestant("seed", checkout, folder / "seed")
    out = seed.out
    options = ("--model", "shapes", "--format", "yolo,coco", "--images", "none", "--no-canary")
    seed.run("annotating the scenes", "run", "run", scenes, "-o", out, *options)
    connection = sqlite3.connect(out / "job.db")
    held = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    for table in ("exported_classes", "exported_images", "files", "exports"):
        if table in held:
            connection.execute(f"DELETE FROM {table}")
    (settings,) = connection.execute("SELECT settings FROM runs").fetchone()
    moved = json.dumps(json.loads(settings) | {"sources": [str(small)]})
    connection.execute("UPDATE runs SET settings = ?", (moved,))
    _multiply(connection, scenes, small, images)
    connection.commit()
    connection.execute("VACUUM")
    connection.close()
    shutil.rmtree(scenes)
    return (out / "job.db").rename(folder / "job.db")


def _multiply(connection: sqlite3.Connection, scenes: Path, small: Path, images: int) -> None:
    """Put each record of the scenes under many keys, in the place of its own."""
    records = connection.execute(
        "SELECT images.key, attempts.seq, width, height FROM images "
        "JOIN attempts ON image = images.id WHERE sha IS NOT NULL ORDER BY key"
    ).fetchall()
    answers = {
        seq: connection.execute("SELECT * FROM answers WHERE attempt = ?", (seq,)).fetchall()
        for _, seq, _, _ in records
    }
    files = {key: _shrunk(scenes / key) for key, _, _, _ in records}
    columns = {row[1] for row in connection.execute("PRAGMA table_info(images)")}
    # as another commit may have it, or have none
    has_stem, has_inode = "stem" in columns, "inode" in columns
    hashes = {key: sha256(data).hexdigest() for key, data in files.items()}
    for table in ("answers", "attempts", "images"):
        connection.execute(f"DELETE FROM {table}")
    for number, name in enumerate(_names(images), start=1):
        key, seq, width, height = records[number % len(records)]
        path = small / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(files[key])
        status = path.stat()
        stamp: dict[str, object] = {"path": os.fsencode(path), "size_bytes": status.st_size}
        stamp["mtime_ns"] = status.st_mtime_ns
        if has_inode:
            stamp["inode"] = status.st_ino
        image = {"id": number, "key": f"{name}.jpg", "selected": 1, **stamp}
        _insert(connection, "images", image | ({"stem": name} if has_stem else {}))
        attempt = {"seq": number, "image": number, "run": 1, "sha": hashes[key], **stamp}
        _insert(connection, "attempts", attempt | {"width": width, "height": height})
        for row in answers[seq]:
            marks = ", ".join("?" * len(row))
            connection.execute(f"INSERT INTO answers VALUES ({marks})", (number, *row[1:]))


def _insert(connection: sqlite3.Connection, table: str, row: Mapping[str, object]) -> None:
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", (*row.values(),))


def _shrunk(path: Path) -> bytes:
    with Image.open(path) as image:
        image.thumbnail((SMALL, SMALL))
        image.save(path.with_suffix(".small"), "JPEG")
    return path.with_suffix(".small").read_bytes()


def _names(count: int) -> Iterator[str]:
    """Keys without their ending: a hundred images a folder, folders in folders."""
    for number in range(count):
        yield f"{number // 10_000:03}/part-{number // 100 % 100:02}/image-{number:06}"


def race(contestants: Sequence[Contestant], journal: Path, tables: Sequence[str]) -> None:
    """One turn of each table, the contestants one after the other."""
    two = ("--format", "yolo,coco")
    wanted = set(tables)
    for table in ("two", "unchanged", "listing", "resume", "nine", "placing"):
        needs = {"two": {"unchanged", "resume", "placing"}, "listing": {"resume"}}
        if not {table, *needs.get(table, ())} & wanted:
            continue
        for one in contestants:
            if table in ("two", "nine", "placing"):
                one.begin(journal)
            if table == "listing":
                one.run(table, "list", journal.parent / "in")
            elif table == "resume":
                one.run(table, "run", "resume", one.out, "--quiet")
            elif table == "nine":
                one.run(table, "lifted", "export", one.out, "--quiet", "--format", NINE)
            else:
                images = "hardlink" if table == "placing" else "none"
                one.run(table, "run", "export", one.out, "--quiet", *two, "--images", images)
        first, *others = contestants
        for other in others if table != "listing" else ():
            differing = _differing(first.files(), other.files())
            if differing:
                raise SystemExit(f"{table}: the commits wrote other files: {differing[:3]}")


def _differing(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """Paths whose content differs. Since schema 3 COCO's ids count over all splits, and data.yaml
    names no folder that is not there."""
    changed = ("annotations/", "data.yaml")
    paths = sorted(one.keys() ^ other.keys())
    both = (path for path in one if path in other and not path.startswith(changed))
    return paths + [path for path in both if one[path] != other[path]]


def tell(contestants: Sequence[Contestant], tables: Sequence[str]) -> dict[str, Any]:
    """Print medians and ratios, and give them back for the results."""
    kept: dict[str, Any] = {}
    for table in tables:
        row = kept[table] = {
            one.name: {
                **{f"{kind} seconds": one.seconds(table, kind) for kind in KINDS},
                "peak MB": [run.peak_mb for run in one.runs[table]],
            }
            for one in contestants
        }
        medians = [
            {kind: median(one.seconds(table, kind)) for kind in KINDS} for one in contestants
        ]
        peaks = [max(run.peak_mb for run in one.runs[table]) for one in contestants]
        said = "; ".join(
            f"{one.name} {', '.join(f'{kind} {s:.2f} s' for kind, s in seconds.items())}, "
            f"{peak:.0f} MB"
            for one, seconds, peak in zip(contestants, medians, peaks, strict=True)
        )
        if len(contestants) == 2:
            ratios = {kind: medians[1][kind] / medians[0][kind] for kind in ("user", "cpu")}
            bar = BARS.get(table)
            said += "; ratio " + ", ".join(f"{kind} {ratio:.3f}" for kind, ratio in ratios.items())
            said += f" (bar of cpu {bar})" if bar else ""
            row |= {"user ratio": ratios["user"], "ratio": ratios["cpu"], "bar": bar}
            row |= {"memory ratio": peaks[1] / peaks[0]}
        print(f"{table}: {said}")
    return kept


def main() -> None:
    options = parser("journals", __doc__)
    names: Mapping[str, None] = dict.fromkeys((*BARS, "placing"))
    options.add_argument("tables", nargs="*", metavar="|".join(names), help="[default: all]")
    options.add_argument("--against", type=Path, help="a checkout of the other commit")
    options.add_argument("--images", type=int, default=100_000, help="[default: %(default)s]")
    options.add_argument("--turns", type=int, default=3, help="[default: %(default)s]")
    add_cache(options)
    given = options.parse_args()
    if unknown := set(given.tables) - set(names):
        options.error(f"there is no table {', '.join(sorted(unknown))}")
    tables = [name for name in names if name in (given.tables or names)]
    folder = given.cache / "journals" / str(given.images)
    contestants = [Contestant("this", HERE, folder / "this")]
    if given.against:
        other = given.against.resolve()
        contestants.insert(0, Contestant("against", other, folder / "against"))
    journal = make_job(folder, given.images, contestants[0].checkout)
    for one in contestants:
        shutil.rmtree(one.folder, ignore_errors=True)
        one.compile()
    for turn in range(given.turns):
        # who makes files after another makes them more slowly
        race(contestants[:: -1 if turn % 2 else 1], journal, tables)
    command = f"python -m benchmarks.journals --against CHECKOUT --images {given.images}"
    content = {"images": given.images, "nine": NINE, "tables": tell(contestants, tables)}
    if set(tables) == set(names) and given.against:
        save("journals", f"{command} --turns {given.turns}", content)
    for one in contestants:
        shutil.rmtree(one.folder)


if __name__ == "__main__":
    main()
