"""What merging the shards of a job takes, by the number of images.

    python -m benchmarks.merging [--images N,N,…] [--shards N]

The journals are real: the embedded checkpoint annotates some hundred painted scenes, and what it
said is written under as many keys as are asked for, each into the journal of its shard. `joined` is
the merge up to its dataset, `again` the same once more, where nothing is new, and `whole` a merge
with the export of yolo and coco, without images. Each runs in a process of its own, whose peak
memory is the operating system's figure.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from benchmarks.measuring import add_cache, parser, save
from florence_annotate.config import job_spec
from florence_annotate.images.shards import Shard
from florence_annotate.shapes.demo import GROUND_TRUTH, write_demo

HERE = Path(__file__).parent.parent
SCENES = 300
FIRST_SEED = 3_500_000
_DRIVER = """
import sys
from pathlib import Path
from florence_annotate.cli import main
from florence_annotate.jobs import exporting
is_exported, *arguments = sys.argv[1:]
def stop(*request): raise SystemExit(0)
if is_exported == "False":
    exporting.run = stop
sys.argv = ["florence-annotate", *arguments]
try:
    main()
finally:
    print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""
"""Runs in a process of its own; its last line is what peaked there, in kB."""


def command(*arguments: object, is_exported: bool = True) -> tuple[float, float]:
    """Seconds and peak memory in MB of a command, which may stop before its export."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _DRIVER, str(is_exported), *map(str, arguments)],
        cwd=HERE,
        env=os.environ | {"PYTHONPATH": str(HERE)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return time.perf_counter() - began, int(done.stdout.split()[-1]) / 1024


def make_shards(folder: Path, images: int, count: int) -> list[Path]:
    """Journals of that many images in all, made once."""
    outs = [folder / f"{images}-{index}-of-{count}" for index in range(1, count + 1)]
    if all((out / "job.db").exists() for out in outs):
        return outs
    seed, source = folder / "seed", folder / "in"
    if not (seed / "job.db").exists():
        shutil.rmtree(source, ignore_errors=True)
        write_demo(source, count=SCENES, seed=FIRST_SEED)
        (source / GROUND_TRUTH).unlink()
        options = ("--model", "shapes", "--shard", "1/1", "--no-canary", "-q")
        command("run", source, "-o", seed, *options)
    for index, out in enumerate(outs, start=1):
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        shutil.copy(seed / "job.db", out)
        _multiply(out / "job.db", os.fsencode(source), Shard(index, count), images)
    return outs


def _multiply(journal: Path, source: bytes, shard: Shard, images: int) -> None:
    """Put what was said of the scenes under the keys of a shard, in the place of their own."""
    connection = sqlite3.connect(journal)
    connection.execute("PRAGMA synchronous=OFF")
    (text,) = connection.execute("SELECT settings FROM runs").fetchone()
    spec = job_spec.load(text).model_copy(update={"shard": str(shard)})
    connection.execute("UPDATE runs SET settings = ?", (job_spec.dump(spec),))
    connection.execute("UPDATE job SET value = ? WHERE name = 'shard'", (json.dumps(str(shard)),))
    records = connection.execute(
        "SELECT seq, sha, width, height, size_bytes, mtime_ns FROM attempts ORDER BY seq"
    ).fetchall()
    answers = {
        seq: connection.execute(
            "SELECT * FROM answers WHERE attempt = ? ORDER BY place", (seq,)
        ).fetchall()
        for seq, *_ in records
    }
    for table in ("answers", "attempts", "images"):
        connection.execute(f"DELETE FROM {table}")
    for number, key in enumerate(_keys(images), start=1):
        if not shard.holds(key):
            continue
        seq, _, width, height, *stamps = records[number % len(records)]
        path = os.path.join(source, os.fsencode(key))
        connection.execute(
            "INSERT INTO images (id, key, path, size_bytes, mtime_ns, selected) "
            "VALUES (?, ?, ?, ?, ?, 1)",
            (number, key, path, *stamps),
        )
        connection.execute(
            "INSERT INTO attempts (seq, image, run, path, size_bytes, mtime_ns, sha, width, height)"
            " VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?)",
            (number, number, path, *stamps, sha256(key.encode()).hexdigest(), width, height),
        )
        for row in answers[seq]:
            marks = ", ".join("?" * len(row))
            connection.execute(f"INSERT INTO answers VALUES ({marks})", (number, *row[1:]))
    connection.commit()
    connection.execute("VACUUM")
    connection.close()


def _keys(count: int) -> Iterator[str]:
    """A hundred images a folder, folders in folders."""
    for number in range(count):
        yield f"{number // 10_000:03}/part-{number // 100 % 100:02}/image-{number:07}.jpg"


def measure(folder: Path, images: int, count: int) -> dict[str, Any]:
    outs = make_shards(folder, images, count)
    size = sum((out / "job.db").stat().st_size for out in outs) / 1e6
    row: dict[str, Any] = {"images": images, "shards": count, "journals MB": size}
    merged = folder / "merged"
    shutil.rmtree(merged, ignore_errors=True)
    arguments = ("merge", *outs, "-o", merged, "--images", "none", "--format", "yolo,coco", "-q")
    for name in ("joined", "again", "whole"):
        if name == "whole":
            shutil.rmtree(merged)
        seconds, peak = command(*arguments, is_exported=name == "whole")
        row[name] = {"seconds": seconds, "peak MB": peak}
        print(f"  {images} images, {name}: {seconds:.1f} s, {peak:.0f} MB", flush=True)
    shutil.rmtree(merged)
    return row


def main() -> None:
    options = parser("merging", __doc__)
    options.add_argument("--images", default="10000,100000,1000000", help="[default: %(default)s]")
    options.add_argument("--shards", type=int, default=8, help="[default: %(default)s]")
    add_cache(options)
    given = options.parse_args()
    folder = given.cache / "merging"
    folder.mkdir(parents=True, exist_ok=True)
    rows = [measure(folder, int(images), given.shards) for images in given.images.split(",")]
    command_line = f"python -m benchmarks.merging --images {given.images} --shards {given.shards}"
    save("merging", command_line, {"rows": rows})


if __name__ == "__main__":
    main()
