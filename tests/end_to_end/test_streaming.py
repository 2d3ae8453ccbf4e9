"""What an export keeps in memory does not grow with the number of images."""

import gc
import tracemalloc
from pathlib import Path

import pytest
from conftest import command
from written_answers import answer, written_job

from florence_annotate.journal import Journal

FEW, MANY = 4_500, 9_000
"""Images; so many that of the half of them two pages of every table are in memory, which are 2,048
rows: with fewer, the buffers themselves would grow."""
GROWTH = 100
"""Bytes an image: what is kept of a file, its path and its hash, takes twice as much."""


def job_of(folder: Path, count: int) -> Path:
    """A job in which the same was said about so many images; no file of them is there."""
    said = [answer("car", 100, 100, 300, 300, "tree", 400, 400, 800, 800)]
    out = written_job(folder, {"0.png": said}, formats="yolo,coco,coco-results,jsonl")
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
    with Journal.open_to_write(out) as journal, journal.transaction():
        values = {
            "images": "i, 'some/folder/of/images/' || i || '.png', path, size_bytes, mtime_ns, "
            "selected, inode",
            "attempts": "i, i, run, path, size_bytes, mtime_ns, sha, width, height, stage, kind, "
            "message, inode, asked_with",
            "answers": ", ".join(
                "i" if row["name"] == "attempt" else row["name"]
                for row in journal.connection.execute("PRAGMA table_info(answers)")
            ),
        }
        first = {"images": "id", "attempts": "seq", "answers": "attempt"}
        for table, columns in values.items():
            journal.connection.execute(
                f"INSERT INTO {table} {numbers} SELECT {columns} FROM n, {table} "
                f"WHERE {first[table]} = 1"
            )
    return out


def peak_of(*arguments: object) -> int:
    """Bytes that a command had at most of what it took for itself."""
    gc.collect()
    tracemalloc.start()
    try:
        result = command(*arguments)
        assert result.code == 0, result.err
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_an_export_holds_no_more_of_many_images_than_of_few(tmp_path: Path) -> None:
    few, many = (job_of(tmp_path / str(count), count) for count in (FEW, MANY))
    none = ("--images", "none", "--quiet")
    steps = {
        "first": none,
        "unchanged": none,
        "every label file anew": (*none, "--classes", "tree,car", "--renumber"),
        "another split": (*none, "--split", "train=0.5,val=0.5"),
        "the labels gone": (*none, "--format", "coco"),
    }
    command("export", job_of(tmp_path / "1", 2), *none)  # what is imported and made once
    grown = {}
    for name, options in steps.items():
        peaks = [peak_of("export", out, *options) for out in (few, many)]
        grown[name] = (peaks[1] - peaks[0]) / (MANY - FEW)
    assert max(grown.values()) < GROWTH, grown
