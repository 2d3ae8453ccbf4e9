"""A staged export → the output folder, never over somebody's corrections.

Each staged file is compared with what lies in its place: what is equal stays untouched; what was
written by an earlier export is replaced, or removed where the new export has no such file; what is
anything else was corrected by hand, and the whole export is refused before the first file is moved.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from florence_annotate.errors import ExportError, OutputError
from florence_annotate.formats.staging import Staging, name_of_content
from florence_annotate.journal import Exported, Journal

IMAGES = "images/"
METADATA_NAME = "metadata.jsonl"
TEXT_SUFFIX = ".txt"
"""A file beside the images that is none, and the ending of such files."""


@dataclass(slots=True)
class _Changes:
    """What has to be done for the staged files to lie in place."""

    replaced: list[str] = field(default_factory=list)
    """Paths to write, in order."""
    removed: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    """Those among them whose content would be lost."""
    touched: list[str] = field(default_factory=list)
    """Paths that stay, but are not noted as they lie there."""


class Replacing:
    """What earlier exports wrote to an output folder, and how another one takes its place."""

    def __init__(self, out: Path, journal: Journal) -> None:
        self._out = out
        self._root = str(out)
        self._journal = journal
        self._missing: dict[str, bool] = {}
        """Whether a folder is missing in the output, as far as that was asked."""

    @cached_property
    def _known(self) -> dict[str, list[Exported]]:
        return self._journal.exports.files()

    @cached_property
    def _exported_images(self) -> dict[str, list[str]]:
        """Content → paths of the images that an earlier export wrote."""
        found: dict[str, list[str]] = {}
        for path, files in self._known.items():
            if is_image(path):
                for file in files:
                    found.setdefault(file.content, []).append(path)
        return found

    def own_copy(self, sha: str) -> Path | None:
        """An image of an earlier export with these bytes, in the output folder."""
        for path in self._exported_images.get(sha, ()):
            if self._present(path, self._known.get(path, ())) == sha:
                return self._out / path
        return None

    def commit(
        self, staging: Staging, files: dict[str, str], overwrite: bool, outcome: Any = None
    ) -> None:
        """Move all staged files into place.

        `files` are path → name of the content, in the order of paths; `outcome` is kept in the
        journal with them. Raises ExportError, before anything is moved, for files that were changed
        by hand, and OutputError.
        """
        changes = self._compare(staging, files)
        if changes.foreign and not overwrite:
            foreign = sorted(changes.foreign)
            is_one = len(foreign) == 1
            raise ExportError(
                f"{len(foreign)} {'file' if is_one else 'files'} in {self._out} "
                f"{'is not as it was' if is_one else 'are not as they were'} written: "
                f"{', '.join(foreign[:3])}{' …' if len(foreign) > 3 else ''}. They may be "
                "corrections, so nothing was exported: move them away, or give --overwrite to lose "
                "them"
            )
        try:
            if changes.replaced or changes.removed:
                self._journal.exports.announce(
                    (path, _stamp(f"{staging.folder}/{path}", files[path]))
                    for path in changes.replaced
                )
            self._move(staging, changes.replaced)
            for path in changes.removed:
                self._remove(path)
                _remove_empty_parents(self._out / path, self._out)
            self._journal.exports.settle(
                [(path, _stamp(f"{self._root}/{path}", files[path])) for path in changes.touched],
                [
                    (path, file)
                    for path, known in self._known.items()
                    for file in known
                    if file.content != files.get(path)
                ],
                outcome,
            )
        except OSError as error:
            raise OutputError.at(self._out, error) from error

    def _compare(self, staging: Staging, files: dict[str, str]) -> _Changes:
        changes = _Changes()
        for path, wanted in files.items():
            self._compare_file(path, wanted, changes, staging)
        for path in self._known.keys() - files.keys():
            self._compare_file(path, None, changes, staging)
        return changes

    def _compare_file(
        self, path: str, wanted: str | None, changes: _Changes, staging: Staging
    ) -> None:
        known = self._known.get(path, ())
        present = self._present(path, known)
        if present == wanted and not (wanted and self._is_other_kind(path, staging)):
            if wanted and not (len(known) == 1 and is_as_known(self._lstat(path), known[0])):
                changes.touched.append(path)
            return
        (changes.replaced if wanted else changes.removed).append(path)
        is_ours = present in {file.content for file in known}
        if present is None or is_ours or present == wanted:
            return
        # an original that was edited in place is seen through the dataset's link to it, too
        if not (is_image(path) and _has_another_name(self._out / path)):
            changes.foreign.append(path)

    def _lstat(self, path: str) -> os.stat_result:
        return os.lstat(f"{self._root}/{path}")

    def _present(self, path: str, known: Sequence[Exported]) -> str | None:
        """Name of the content that lies at a path now; not read again where size and time are
        known."""
        if self._is_missing(path.rpartition("/")[0]):
            return None
        try:
            status = self._lstat(path)
        except OSError:
            return None
        for file in known:
            if is_as_known(status, file):
                return file.content
        return name_of_content(f"{self._root}/{path}")

    def _is_missing(self, folder: str) -> bool:
        """Whether a folder of the output is not there, so that no file is in it."""
        missing = self._missing.get(folder)
        if missing is None:
            above = folder.rpartition("/")[0]
            missing = bool(above) and self._is_missing(above)  # asked before anything is moved
            missing = missing or not os.path.lexists(f"{self._root}/{folder}")
            self._missing[folder] = missing
        return missing

    def _is_other_kind(self, path: str, staging: Staging) -> bool:
        """An image that has the right bytes, but as a link instead of a copy or the reverse."""
        staged, target = staging.folder / path, self._out / path
        if not is_image(path) or staged.is_symlink():
            return False
        if _has_another_name(staged):
            return not staged.samefile(target)
        return _has_another_name(target)

    def _move(self, staging: Staging, paths: Sequence[str]) -> None:
        """Move staged files into place; a folder that is not there yet, as a whole."""
        moved: set[str] = set()
        for path in paths:
            folder = path.rpartition("/")[0]
            if not self._is_missing(folder):
                os.replace(f"{staging.folder}/{path}", f"{self._root}/{path}")
            elif (whole := self._highest_missing(folder)) not in moved:
                os.rename(f"{staging.folder}/{whole}", f"{self._root}/{whole}")
                moved.add(whole)

    def _highest_missing(self, folder: str) -> str:
        """The highest folder on the way to a missing one that is missing itself."""
        above = folder.rpartition("/")[0]
        return self._highest_missing(above) if above and self._is_missing(above) else folder

    def _remove(self, path: str) -> None:
        """Remove a file of an earlier export; the last copy of an image moves to `orphans/`."""
        target = self._out / path
        if is_image(path) and not target.is_symlink() and not _has_another_name(target):
            content = name_of_content(target)
            originals = self._journal.originals_of(content)
            if originals and not any(_has_content(original, content) for original in originals):
                orphan = self._out / "orphans" / f"{content[:10]}-{target.name}"
                orphan.parent.mkdir(exist_ok=True)
                target.replace(orphan)
                return
        target.unlink(missing_ok=True)


def is_image(path: str) -> bool:
    """Whether a path of the output is an image of the dataset."""
    return path.startswith(IMAGES) and not path.endswith((f"/{METADATA_NAME}", TEXT_SUFFIX))


def is_as_known(status: os.stat_result, file: Exported) -> bool:
    """Whether a file has the size and time that it was written with."""
    return (status.st_size, status.st_mtime_ns) == (file.size_bytes, file.mtime_ns)


def _has_another_name(path: Path) -> bool:
    return not path.is_symlink() and path.stat().st_nlink > 1


def _has_content(path: bytes, content: str) -> bool:
    try:
        return name_of_content(os.fsdecode(path)) == content
    except OSError:
        return False


def _stamp(path: str, content: str) -> Exported:
    status = os.lstat(path)
    return Exported(content, status.st_size, status.st_mtime_ns)


def _remove_empty_parents(path: Path, top: Path) -> None:
    for folder in path.parents:
        if folder == top:
            return
        try:
            folder.rmdir()
        except OSError:
            return
