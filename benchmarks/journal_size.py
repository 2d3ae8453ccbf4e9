"""How many bytes of the journal an image takes, and what other packings would make of them.

    python -m benchmarks.journal_size [--images N] [--turns N]

The journal is that of `benchmarks.journals`. Its images are halved by the scene that they show: of
one half the dictionaries of zstd are trained, and the other half is what is measured, so that no
answer that is measured was seen before. Each packing is a file of its own. Reading is to fetch the
answers to 64 images at a time and make `Answer`s of them, writing to pack the rows and put them
into the table, both in user CPU time an image; the packings take turns.

`no row ids` is what journals were before: the table of answers without row ids, where rows of more
than a kilobyte begin pages of their own. `differences` keeps a byte for each token's end. `lean`
leaves out what is there twice as well: an attempt's path where it is the image's, and half of each
hash, as bytes. `zstd` packs `differences` with a dictionary at a level. They take the package
`zstandard`, and are left out without it.
"""

import resource
import shutil
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from importlib import import_module
from itertools import accumulate
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.journals import HERE, make_job
from benchmarks.measuring import add_cache, parser, save
from florence_annotate.journal.packing import COLUMNS, unpack_answer

try:
    zstandard: Any = import_module("zstandard")
except ImportError:
    zstandard = None

LEVELS = (1, 3, 6, 9)
DICTIONARY = 16384
"""Bytes."""
PAGE = 64
ROW = f"attempt, place, {COLUMNS}"
_NAMES = ROW.split(", ")
_DATA, _ENDS, _KINDS, _LOGPROBS, _SPREADS = (
    _NAMES.index(name) for name in ("data", "ends", "kinds", "logprobs", "spreads")
)

Row = tuple[Any, ...]
Change = Callable[[Row], Row]


def as_it_is(row: Row) -> Row:
    return row


def differences(row: Row) -> Row:
    """With the length of each token, in a byte, in the place of its end."""
    ends = struct.unpack(f"<{len(row[_KINDS])}I", row[_ENDS])
    lengths = bytes(end - start for start, end in zip((0, *ends), ends, strict=False))
    return *row[:_ENDS], lengths, *row[_ENDS + 1 :]


def ends_of(row: Row) -> Row:
    """The reverse of `differences`."""
    ends = struct.pack(f"<{len(row[_ENDS])}I", *accumulate(row[_ENDS]))
    return *row[:_ENDS], ends, *row[_ENDS + 1 :]


def joined(row: Row) -> bytes:
    """What is packed of a row of `differences`: first how many tokens and bytes."""
    head = struct.pack("<HH", len(row[_KINDS]), len(row[_DATA]))
    parts = (row[_DATA], row[_ENDS], row[_KINDS], row[_LOGPROBS], row[_SPREADS] or b"")
    return head + b"".join(parts)


def parted(row: Row, packed: bytes) -> Row:
    """The reverse of `joined`; the rest of the row as it is kept."""
    tokens, length = struct.unpack_from("<HH", packed)
    at = list(accumulate((4, length, tokens, tokens, 4 * tokens)))
    data, ends, kinds, logprobs = (packed[at[i] : at[i + 1]] for i in range(4))
    changed = list(row)
    changed[_DATA : _LOGPROBS + 1] = data, ends, kinds, logprobs
    changed[_SPREADS] = packed[at[4] :]
    return tuple(changed)


def by_zstd(level: int, dictionary: bytes) -> tuple[Change, Change]:
    known = zstandard.ZstdCompressionDict(dictionary)
    known.precompute_compress(level)
    press = zstandard.ZstdCompressor(dict_data=known, level=level, write_dict_id=False).compress
    release = zstandard.ZstdDecompressor(dict_data=known).decompress

    def write(row: Row) -> Row:
        changed = list(row)
        changed[_DATA] = press(joined(differences(row)))
        changed[_ENDS] = changed[_KINDS] = changed[_LOGPROBS] = b""
        changed[_SPREADS] = None
        return tuple(changed)

    return write, lambda row: ends_of(parted(row, release(row[_DATA])))


@dataclass
class Packing:
    """One way to keep the answers, and what it took."""

    file: Path
    write: Change = as_it_is
    read: Change = as_it_is
    without_row_ids: bool = False
    is_lean: bool = False
    size: int = 0
    writing: list[float] = field(default_factory=list)
    """User CPU seconds of each turn."""
    reading: list[float] = field(default_factory=list)

    def fill(self, base: Path, rows: list[Row]) -> None:
        self.file.unlink(missing_ok=True)
        shutil.copy(base, self.file)
        with closing(sqlite3.connect(self.file, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous=OFF")
            (sql,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'answers'")
            connection.execute("DROP TABLE answers")
            table = sql[0].replace("WITHOUT ROWID", "")
            connection.execute(table + " WITHOUT ROWID" * self.without_row_ids)
            if self.is_lean:
                _leave_out_what_is_there_twice(connection)
            marks = ", ".join("?" * len(_NAMES))
            begun = _user_seconds()
            connection.execute("BEGIN")
            connection.executemany(
                f"INSERT INTO answers ({ROW}) VALUES ({marks})", map(self.write, rows)
            )
            connection.execute("COMMIT")
            self.writing.append(_user_seconds() - begun)
            connection.execute("VACUUM")
        self.size = self.file.stat().st_size

    def measure(self, attempts: list[int]) -> None:
        with closing(sqlite3.connect(self.file)) as connection:
            begun = _user_seconds()
            for first in range(0, len(attempts), PAGE):
                page = attempts[first : first + PAGE]
                query = f"SELECT {ROW} FROM answers WHERE attempt IN ({', '.join('?' * len(page))})"
                for row in connection.execute(f"{query} ORDER BY attempt, place", page).fetchall():
                    unpack_answer(self.read(row)[2:])
            self.reading.append(_user_seconds() - begun)


def _user_seconds() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime


def _leave_out_what_is_there_twice(connection: sqlite3.Connection) -> None:
    (sql,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'attempts'").fetchone()
    rows = connection.execute(
        "SELECT attempts.*, attempts.path = images.path AS is_same FROM attempts "
        "JOIN images ON images.id = image ORDER BY seq"
    )
    names = [column[0] for column in rows.description]
    path, sha = names.index("path"), names.index("sha")
    changed = []
    for *row, is_same in rows.fetchall():
        row[path] = None if is_same else row[path]
        row[sha] = row[sha] and bytes.fromhex(row[sha])
        changed.append(row)
    connection.execute("DROP TABLE attempts")
    connection.execute(sql.replace("path BLOB NOT NULL", "path BLOB"))
    connection.executemany(
        f"INSERT INTO attempts VALUES ({', '.join('?' * (len(names) - 1))})", changed
    )
    connection.execute("CREATE INDEX attempts_by_image ON attempts (image, seq)")
    connection.execute("CREATE INDEX attempts_by_sha ON attempts (sha)")


def halve(journal: Path, base: Path) -> tuple[list[Row], list[Row]]:
    """A journal without images of every other scene; and the answers about those, and the rest."""
    shutil.copy(journal, base)
    with closing(sqlite3.connect(base, isolation_level=None)) as connection:
        # images stand in the order of their scenes, again and again, an even number of them
        rest, kept = (
            connection.execute(f"SELECT {ROW} FROM answers WHERE attempt % 2 = {odd}").fetchall()
            for odd in (1, 0)
        )
        for table, column in (("answers", "attempt"), ("attempts", "seq"), ("images", "id")):
            connection.execute(f"DELETE FROM {table} WHERE {column} % 2")
    return rest, kept


def parts_of(file: Path, images: int) -> dict[str, float]:
    """Bytes an image of each table and index, and of what the columns of answers hold."""
    with closing(sqlite3.connect(file)) as connection:
        try:
            pages = connection.execute(
                "SELECT name, sum(pgsize) FROM dbstat GROUP BY 1 ORDER BY -2"
            )
            parts = dict(pages.fetchall())
        except sqlite3.OperationalError:  # some builds of SQLite lack dbstat
            parts = {}
        for table, columns in (
            ("answers", ("data", "ends", "kinds", "logprobs", "spreads")),
            ("attempts", ("path", "sha")),
            ("images", ("key", "path")),
        ):
            for column in columns:
                query = f"SELECT sum(length(CAST({column} AS BLOB))) FROM {table}"
                (parts[f"{table}.{column}"],) = connection.execute(query).fetchone()
    return {name: size / images for name, size in parts.items() if size / images >= 1}


def main() -> None:
    options = parser("journal_size", __doc__)
    options.add_argument("--images", type=int, default=10_000, help="[default: %(default)s]")
    options.add_argument("--turns", type=int, default=7, help="[default: %(default)s]")
    add_cache(options)
    given = options.parse_args()
    cache = given.cache / "journals" / str(given.images)
    folder = cache / "packings"
    shutil.rmtree(folder, ignore_errors=True)
    journal = make_job(cache, given.images, HERE)
    folder.mkdir()
    rest, rows = halve(journal, folder / "base.db")
    packings = {
        "no row ids": Packing(folder / "before.db", without_row_ids=True),
        "as it is": Packing(folder / "now.db"),
        "differences": Packing(folder / "differences.db", differences, ends_of),
        "lean": Packing(folder / "lean.db", differences, ends_of, is_lean=True),
    }
    if zstandard is None:
        print("without the package zstandard its rows are left out")
    else:
        samples = sorted({joined(differences(row)) for row in rest})
        dictionary = zstandard.train_dictionary(DICTIONARY, samples).as_bytes()
        for level in LEVELS:
            packing = Packing(folder / f"zstd-{level}.db", *by_zstd(level, dictionary))
            packings[f"zstd {level}"] = packing
    attempts, images = [row[0] for row in rows], len({row[0] for row in rows})
    for _ in range(given.turns):
        for packing in packings.values():
            packing.fill(folder / "base.db", rows)
        for packing in packings.values():
            packing.measure(attempts)
    parts = parts_of(packings["as it is"].file, images)
    for name, size in parts.items():
        print(f"  {name}: {size:.0f} bytes an image")
    kept = {}
    print("| packing | bytes an image | reading | writing |\n| --- | --- | --- | --- |")
    for name, one in packings.items():
        writing, reading = (median(each) / images * 1e6 for each in (one.writing, one.reading))
        kept[name] = {"bytes": one.size / images, "reading us": reading, "writing us": writing}
        print(f"| {name} | {one.size / images:,.0f} | {reading:.1f} µs | {writing:.1f} µs |")
    command = f"python -m benchmarks.journal_size --images {given.images} --turns {given.turns}"
    save("journal-size", command, {"images": images, "parts": parts, "packings": kept})
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
