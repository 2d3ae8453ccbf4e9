"""Jobs as arrays of shards, and what they are held to once they are merged."""

from hashlib import sha256
from pathlib import Path

from conftest import annotate, is_same_dataset

from florence_annotate.journal import Journal


def annotate_shards(source: Path, outs: Path, *options: object, count: int = 3) -> list[Path]:
    """The outputs of all shards of a source."""
    found = []
    for index in range(1, count + 1):
        found.append(outs / f"shard-{index}")
        done = annotate(source, found[-1], "--shard", f"{index}/{count}", "-q", *options)
        assert done.code == 0, done.err
    return found


def settled_in(out: Path) -> list[tuple[str, int, str, str]]:
    """Key, number, split and name of every image of a dataset."""
    with Journal.open_existing(out) as journal:
        return [(key, *assigned) for key, assigned in journal.exports.assignments.each()]


def is_same_job(out: Path, expected: Path) -> None:
    """Assert that two jobs gave their images the same ids, splits, names and files."""
    is_same_dataset(out, expected)
    assert settled_in(out) == settled_in(expected)


def snapshot(folder: Path) -> dict[str, tuple[int, str]]:
    """Every file of a folder, by time and content; and the folder itself, by time."""
    found = {
        path.name: (path.stat().st_mtime_ns, sha256(path.read_bytes()).hexdigest())
        for path in folder.iterdir()
    }
    return found | {".": (folder.stat().st_mtime_ns, "")}
