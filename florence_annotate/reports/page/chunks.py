"""Where the rows of the images go: into the page itself, or into scripts beside it, since a page
that was opened as a file may load scripts and nothing else."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from typing import Any, Protocol
from urllib.parse import quote

from florence_annotate.errors import OutputError
from florence_annotate.reports.page import markup
from florence_annotate.reports.page.folder import Folder

_BUFFER = 1 << 20
"""Characters."""


class Chunks(Protocol):
    """Rows, some hundred at a time."""

    addresses: list[str]
    """Of the scripts beside the page."""
    hashes: list[str]
    """Of the scripts in the page, see `markup.script`."""
    needed: set[str]
    """Names in the folder beside the page."""

    def add(self, first: int, rows: list[dict[str, Any]]) -> None:
        """`first` is the number of the first image. Raises OutputError."""

    def in_page(self) -> Iterator[str]:
        """The scripts in the page, in pieces."""


class Inlined:
    """All of them in the page, for which they wait in a temporary file."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.hashes: list[str] = []
        self.needed: set[str] = set()
        self._waiting = TemporaryFile("w+", encoding="ascii")  # noqa: SIM115

    def add(self, first: int, rows: list[dict[str, Any]]) -> None:
        script, digest = markup.script(_chunk(first, rows))
        try:
            self._waiting.write(script)
        except OSError as error:
            raise OutputError.at(Path(gettempdir()), error) from error
        self.hashes.append(digest)

    def in_page(self) -> Iterator[str]:
        with self._waiting:
            self._waiting.seek(0)
            while text := self._waiting.read(_BUFFER):
                yield text


class Beside:
    """A script of its own each. Its content is in its name, so that the page of an earlier report
    never meets data of this one."""

    def __init__(self, folder: Folder) -> None:
        self.addresses: list[str] = []
        self.hashes: list[str] = []
        self.needed: set[str] = set()
        self._folder = folder

    def add(self, first: int, rows: list[dict[str, Any]]) -> None:
        data = _chunk(first, rows).encode()
        digest = hashlib.sha256(data).hexdigest()
        name = f"chunk-{len(self.addresses):04}-{digest[:16]}.js"
        self._folder.write(name, data)  # what is there by that name may hold something else
        self.needed.add(name)
        self.addresses.append(quote(os.fsencode(f"{self._folder.path.name}/{name}")))

    def in_page(self) -> Iterator[str]:
        return iter(())


def _chunk(first: int, rows: list[dict[str, Any]]) -> str:
    return markup.call("chunk", {"first": first, "images": rows})
