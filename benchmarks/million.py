"""What the commands take of a job of 10,000, 100,000 and a million images.

    python -m benchmarks.million [--images N,N,…] [--turns N] [ROW ...]

The journal is that of `benchmarks.journals`: what the embedded checkpoint said of some hundred
painted scenes, under as many keys as are asked for, each a small file of its own. A million of them
take 4 GB of the cache and 1.2 GB for the journal; `nine` and `linked` write several times as many
files, which are removed when they are measured.

Every command runs in a process of its own: its user CPU time, the same with the system's, how long
it took, and the operating system's figure for its peak memory. `resume` goes on with a job in which
nothing is left to do and nothing has changed, and is measured in parts: `deciding` is all up to its
export (sources walked, held to the journal), `looking` the export, which finds that no file has
changed, and `ending` what comes after. `nine` writes formats that are read beside their images
without them, as `benchmarks.journals` does. `read` is pycocotools with all COCO files of `two`.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.journals import HERE, NINE, make_job
from benchmarks.measuring import add_cache, parser, save

KINDS = ("user", "cpu", "elapsed", "peak MB")
_JSON = ("status", "failures", "stats")
ROWS: Mapping[str, tuple[object, ...]] = {
    "status": ("status",),
    "failures": ("failures",),
    "two": ("export", "--quiet", "--images", "none", "--format", "yolo,coco"),
    "unchanged": ("export", "--quiet", "--images", "none", "--format", "yolo,coco"),
    "resume": ("resume", "--quiet"),
    "read": (),
    "stats": ("stats",),
    "report": ("report",),
    **{f"{name} --json": (name, "--json") for name in _JSON},
    "unchanged --json": ("export", "--json", "--images", "none", "--format", "yolo,coco"),
    "nine": ("export", "--quiet", "--images", "none", "--format", NINE),
    "linked": ("export", "--quiet", "--images", "hardlink", "--format", "yolo,coco"),
}
"""Name → the command, without its folder; in the order in which they are run."""
_OF_ITS_OWN = ("nine", "linked")
"""Exports to a job of their own."""
_NEEDS_TWO = ("unchanged", "resume", "read", "unchanged --json")

_DRIVER = """
import json, os, sys
from pathlib import Path
name, report, *arguments = sys.argv[1:]
begun, outcome = (0, 0, 0, 0, os.times()[4]), {}
def part(of):
    global begun
    now = os.times()
    user, system, elapsed = (now[i] - begun[i] for i in (0, 1, 4))
    peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
    outcome[of] = {"user": user, "cpu": user + system, "elapsed": elapsed, "peak MB": peak}
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    begun = now
def in_parts(export):
    def exported(*given, **named):
        part("deciding")
        done = export(*given, **named)
        part("looking")
        return done
    return exported
if name == "read":
    from pycocotools.coco import COCO
    for path in arguments:
        COCO(path)
else:
    from florence_annotate.cli import main
    if name == "nine":
        from florence_annotate.formats.registry import FORMATS
        for one in FORMATS.values():
            object.__setattr__(one, "lies_beside_images", False)
    if name == "resume":
        from florence_annotate.formats import export
        export.export = in_parts(export.export)
    sys.argv = ["florence-annotate", *arguments]
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise
part("ending" if name == "resume" else name)
Path(report).write_text(json.dumps(outcome))
"""
"""Runs in a process of its own, and says what each part of it took."""


@dataclass
class Bench:
    """The job of one size, and what was measured of it."""

    folder: Path
    images: int
    measured: dict[str, list[dict[str, float]]]

    @property
    def out(self) -> Path:
        return self.folder / "job"

    def copy_to(self, out: Path) -> None:
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        shutil.copy(make_job(self.folder, self.images, HERE), out / "job.db")

    def run(self, row: str, *arguments: object) -> None:
        report = self.folder / "report.json"
        report.unlink(missing_ok=True)
        subprocess.run(
            [sys.executable, "-c", _DRIVER, row, str(report), *map(str, arguments)],
            cwd=HERE,
            env=os.environ | {"PYTHONPATH": str(HERE)},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        for part, figures in json.loads(report.read_text()).items():
            self.measured.setdefault(part, []).append(figures)
            told = ", ".join(f"{kind} {figures[kind]:.2f}" for kind in KINDS)
            print(f"  {self.images} images, {part}: {told}", flush=True)

    def measure(self, row: str) -> None:
        name, *options = ROWS[row] or (None,)
        if row == "read":
            self.run(row, *sorted((self.out / "annotations").glob("*.json")))
        elif row in _OF_ITS_OWN:
            out = self.folder / row
            self.copy_to(out)
            self.run(row, name, out, *options)
            shutil.rmtree(out)
        elif row == "report":
            page = self.folder / "report"
            page.mkdir(exist_ok=True)
            self.run(row, name, self.out, "-o", page / "report.html", *options)
            shutil.rmtree(page)
        else:
            self.run(row, name, self.out, *options)


def main() -> None:
    options = parser("million", __doc__)
    options.add_argument("rows", nargs="*", metavar="ROW", help=f"{', '.join(ROWS)} [default: all]")
    options.add_argument("--images", default="10000,100000,1000000", help="[default: %(default)s]")
    options.add_argument("--turns", type=int, default=1, help="[default: %(default)s]")
    add_cache(options)
    given = options.parse_args()
    if unknown := set(given.rows) - set(ROWS):
        options.error(f"there is no row {', '.join(sorted(unknown))}")
    rows = [row for row in ROWS if row in (given.rows or ROWS)]
    sizes = [int(images) for images in given.images.split(",")]
    benches = [Bench(given.cache / "journals" / str(images), images, {}) for images in sizes]
    for bench in benches:
        for _ in range(given.turns):
            bench.copy_to(bench.out)
            if "two" not in rows and set(rows) & set(_NEEDS_TWO):
                bench.measure("two")
            for row in rows:
                bench.measure(row)
            shutil.rmtree(bench.out)
    kept: dict[str, Any] = {str(bench.images): bench.measured for bench in benches}
    _print_table(benches)
    if set(rows) == set(ROWS):
        command = f"python -m benchmarks.million --images {given.images} --turns {given.turns}"
        save("million", command, {"rows": kept})


def _print_table(benches: list[Bench]) -> None:
    """Medians, as Markdown: user CPU seconds, with the system's, elapsed, peak memory."""
    print("|  | " + " | ".join(f"{bench.images:,}" for bench in benches) + " |")
    print("| --- " * (len(benches) + 1) + "|")
    for part in dict.fromkeys(part for bench in benches for part in bench.measured):
        cells = []
        for bench in benches:
            if found := bench.measured.get(part):
                user, cpu, elapsed, peak = (median([one[kind] for one in found]) for kind in KINDS)
                cells.append(f"{user:.2f} / {cpu:.2f} / {elapsed:.2f} s, {peak:.0f} MB")
            else:
                cells.append("")
        print(f"| `{part}` | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
