"""Where a report goes: its page, and the folder beside it."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from florence_annotate import user_files
from florence_annotate.errors import OutputError, UsageError
from florence_annotate.reports.page.skeleton import GENERATOR

NAME = "report.html"
"""Of the page in a job's own folder."""
_SUFFIX = ".html"
_BEGINNING = 2000
"""Bytes in which a page of ours says that it is one."""


@dataclass(frozen=True, slots=True)
class Places:
    page: Path
    home: Path
    """The folder beside the page in the job's own folder: thumbnails are kept there."""

    @property
    def beside(self) -> Path:
        """The folder beside the page."""
        return beside(self.page)


def beside(page: Path) -> Path:
    return page.with_name(page.name.removesuffix(_SUFFIX) + "-data")


def settle(out: Path, output: Path | None) -> Places:
    """Where the report of a job goes. Raises UsageError where it can't: a page is written over
    where a report wrote it, and nothing else is; OutputError for a folder that is read-only."""
    page = output or out / NAME
    if page.suffix != _SUFFIX:
        raise UsageError(f"-o {page}: name a file that ends in {_SUFFIX}")
    if not page.parent.is_dir():
        raise UsageError(f"-o {page}: there is no folder {page.parent}: make it first")
    if os.path.lexists(page) and not _is_ours(page):
        raise UsageError(
            f"{page} is there, and is no page of a report: move it away, or choose another name "
            "with -o"
        )
    if not os.access(page.parent, os.W_OK):  # told before what may take minutes
        raise OutputError(
            f"can't write {page}: {page.parent} may not be written to: choose another place with -o"
        )
    return Places(page, beside(out / NAME))


def _is_ours(page: Path) -> bool:
    if not stat.S_ISREG(page.lstat().st_mode):
        return False
    try:
        with user_files.opened(page) as file:
            return GENERATOR.encode() in file.read(_BEGINNING)
    except (OSError, user_files.UnreadableFileError):
        return False
