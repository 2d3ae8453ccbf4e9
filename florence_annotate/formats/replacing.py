"""A staged export → the output folder, never over somebody's corrections.

Each staged file is compared with what lies in its place: what is equal stays untouched; what was
written by an earlier export is replaced, or removed where the new export has no such file; what is
anything else was corrected by hand, and is held: neither written, moved nor removed.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from florence_annotate.errors import OutputError
from florence_annotate.formats import last_copies
from florence_annotate.formats.holding import CHANGED, DESCRIPTION, LEFT_OVER, Held, also_held
from florence_annotate.formats.staging import LINK, Staging, name_of_content
from florence_annotate.journal import Exported, Journal, Made, Placed

IMAGES = "images/"
METADATA_NAME = "metadata.jsonl"
TEXT_SUFFIX = ".txt"
"""A file beside the images that is none, and the ending of such files."""


@dataclass(slots=True)
class Changes:
    """What has to be done for the staged files to lie in place."""

    replaced: list[str] = field(default_factory=list)
    """Paths to write, in order."""
    removed: list[str] = field(default_factory=list)
    touched: list[str] = field(default_factory=list)
    """Paths that stay, but are not noted as they lie there."""
    held: Held = field(default_factory=dict)
    """Paths that stay as they are, and why."""


class Replacing:
    """What earlier exports wrote to an output folder, and how another one takes its place."""

    def __init__(self, out: Path, journal: Journal) -> None:
        self._out = out
        self._root = str(out)
        self._journal = journal
        self._exports = journal.exports
        self._missing: dict[str, bool] = {}
        """Whether a folder is missing in the output, as far as that was asked."""

    @cached_property
    def _known(self) -> dict[str, list[Exported]]:
        return self._exports.files()

    @cached_property
    def _copies(self) -> dict[str, list[str]]:
        """SHA-256 of an original → paths of the images that an earlier export made of it, and of
        last copies."""
        found: dict[str, list[str]] = {}
        for path, files in self._known.items():
            if is_image(path) or last_copies.is_one(path):
                for file in files:
                    if not file.content.startswith(LINK):
                        found.setdefault(file.source or file.content, []).append(path)
        return found

    def own_copy(self, sha: str) -> tuple[Path, Exported] | None:
        """An image in the output folder that was made of an original with these bytes, and what is
        noted of it."""
        for path in self._copies.get(sha, ()):
            known = self._known[path]
            present = self._present(path, known)
            for file in known:
                if file.content == present and sha in (file.source, present):
                    return self._out / path, file
        return None

    def compare(self, staging: Staging, *, overwrite: bool) -> Changes:
        """What has to be done; with `overwrite` nothing is held.

        Raises OutputError for a link where a folder has to be.
        """
        changes = Changes()
        for path, wanted in staging.files.items():
            self._compare_file(path, wanted, changes, staging, overwrite)
        restored = {image.source for image in staging.images.values()}
        for path in self._known.keys() - staging.files.keys():
            if last_copies.is_one(path) and not self._is_restored(path, restored):
                continue
            self._compare_file(path, None, changes, staging, overwrite)
        changing = (*changes.replaced, *changes.removed)
        for path in also_held(self._out, staging.folder, changes.held, changing):
            changes.held[path] = changes.held[DESCRIPTION]
        changes.replaced = [path for path in changes.replaced if path not in changes.held]
        changes.removed = sorted(path for path in changes.removed if path not in changes.held)
        return changes

    def _is_restored(self, path: str, sources: set[str]) -> bool:
        """Whether a last copy is in the dataset again."""
        return any((file.source or file.content) in sources for file in self._known[path])

    def commit(self, staging: Staging, changes: Changes, made: Made, outcome: Any = None) -> None:
        """Move what has changed into place; `outcome` is kept in the journal with it.

        What can't be written is noted among what is held. Raises OutputError.
        """
        exports = self._exports
        try:
            if changes.replaced or changes.removed:
                last = self._last_copies(staging, changes)
                written = [(p, self._stamp(staging.folder, p, staging)) for p in changes.replaced]
                exports.announce(made, [*written, *last.values()])
                for path, (orphan, _) in last.items():
                    last_copies.move(self._out, path, orphan)
                if DESCRIPTION in changes.replaced:
                    # it goes before what it describes changes, and comes last
                    (self._out / DESCRIPTION).unlink(missing_ok=True)
                self._move(staging, changes)
                self._remove(changes)
            touched = [(path, self._stamp(self._root, path, staging)) for path in changes.touched]
            exports.settle(made, touched, self._gone(staging, changes), outcome)
        except OSError as error:
            raise OutputError.at(self._out, error) from error

    def _gone(self, staging: Staging, changes: Changes) -> list[tuple[str, Exported]]:
        """What is noted of files that lie there no more."""
        return [
            (path, file)
            for path, known in self._known.items()
            if path not in changes.held
            and not (last_copies.is_one(path) and os.path.lexists(self._out / path))
            for file in known
            if file.content != staging.files.get(path)
        ]

    def _compare_file(
        self, path: str, wanted: str | None, changes: Changes, staging: Staging, overwrite: bool
    ) -> None:
        known = self._known.get(path, ())
        try:
            present = self._present(path, known)
        except OSError as error:
            changes.held[path] = error.strerror or str(error)
            return
        if present == wanted and not (wanted and self._is_other_kind(path, known, staging)):
            if wanted and not (len(known) == 1 and self._is_noted(path, known[0], staging)):
                changes.touched.append(path)
            return
        is_ours = present in {None, wanted, *(file.content for file in known)}
        if not is_ours and not overwrite and not self._is_original(path, known):
            changes.held[path] = CHANGED if wanted or not is_image(path) else LEFT_OVER
        else:
            (changes.replaced if wanted else changes.removed).append(path)

    def _is_noted(self, path: str, known: Exported, staging: Staging) -> bool:
        """Whether the journal knows a file as it lies there, and what it was made of."""
        image = staging.images.get(path)
        is_same = image is None or (known.source, known.placed) == (image.source, image.placed)
        return is_same and is_as_known(self._lstat(path), known)

    def _is_original(self, path: str, known: Sequence[Exported]) -> bool:
        """An original that was edited in place is seen through the dataset's link to it, too."""
        return is_image(path) and last_copies.is_link(self._out / path, known, self._journal)

    def _lstat(self, path: str) -> os.stat_result:
        return os.lstat(f"{self._root}/{path}")

    def _present(self, path: str, known: Sequence[Exported]) -> str | None:
        """Name of the content that lies at a path now; not read again where size and time are
        known. Raises OSError for what can't be read."""
        if self._is_missing(path.rpartition("/")[0]):
            return None
        try:
            status = self._lstat(path)
        except FileNotFoundError:
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
            place = f"{self._root}/{folder}"
            if folder and os.path.islink(place):
                raise OutputError(
                    f"{place} is a link, and what is written there would land elsewhere: put a "
                    "folder in its place"
                )
            missing = missing or not os.path.lexists(place)
            self._missing[folder] = missing
        return missing

    def _is_other_kind(self, path: str, known: Sequence[Exported], staging: Staging) -> bool:
        """An image that has the right bytes, but as a link instead of a file of its own or the
        reverse."""
        image = staging.images.get(path)
        if image is None or image.placed == Placed.SYMBOLIC_LINK:
            return False
        if image.placed == Placed.HARD_LINK:
            return not (staging.folder / path).samefile(self._out / path)
        return last_copies.is_link(self._out / path, known, self._journal)

    def _last_copies(self, staging: Staging, changes: Changes) -> dict[str, tuple[str, Exported]]:
        """Path of each image that would be written over or removed and is a last copy → where it is
        kept, and what is noted of it there."""
        kept = {image.source for image in staging.images.values()}
        found = {}
        for path in (*changes.replaced, *changes.removed):
            known = self._known.get(path, ())
            content = self._present(path, known) if is_image(path) and known else None
            if content is not None:
                source = next((one.source for one in known if one.content == content), None)
                if last := last_copies.find(
                    self._out, path, content, source or content, kept, self._journal
                ):
                    found[path] = last
        return found

    def _remove(self, changes: Changes) -> None:
        for path in changes.removed:
            try:
                (self._out / path).unlink(missing_ok=True)
            except PermissionError as error:
                changes.held[path] = str(error.strerror)
            _remove_empty_parents(self._out / path, self._out)

    def _move(self, staging: Staging, changes: Changes) -> None:
        """Move staged files into place; a folder that is not there yet, as a whole."""
        moved: set[str] = set()
        for path in sorted(changes.replaced, key=lambda path: path == DESCRIPTION):
            folder = path.rpartition("/")[0]
            if not self._is_missing(folder):
                try:
                    os.replace(f"{staging.folder}/{path}", f"{self._root}/{path}")
                except (IsADirectoryError, PermissionError) as error:
                    changes.held[path] = str(error.strerror)
            elif (whole := self._highest_missing(folder)) not in moved:
                os.rename(f"{staging.folder}/{whole}", f"{self._root}/{whole}")
                moved.add(whole)

    def _highest_missing(self, folder: str) -> str:
        """The highest folder on the way to a missing one that is missing itself."""
        above = folder.rpartition("/")[0]
        return self._highest_missing(above) if above and self._is_missing(above) else folder

    def _stamp(self, folder: str | Path, path: str, staging: Staging) -> Exported:
        """What is to be noted of a staged file, or of one that lies in place."""
        status = os.lstat(f"{folder}/{path}")
        image = staging.images.get(path)
        made_of = (None, None) if image is None else (image.source, image.placed)
        return Exported(staging.files[path], status.st_size, status.st_mtime_ns, *made_of)


def is_image(path: str) -> bool:
    """Whether a path of the output is an image of the dataset."""
    return path.startswith(IMAGES) and not path.endswith((f"/{METADATA_NAME}", TEXT_SUFFIX))


def is_as_known(status: os.stat_result, file: Exported) -> bool:
    """Whether a file has the size and time that it was written with."""
    return (status.st_size, status.st_mtime_ns) == (file.size_bytes, file.mtime_ns)


def _remove_empty_parents(path: Path, top: Path) -> None:
    for folder in path.parents:
        if folder == top:
            return
        try:
            folder.rmdir()
        except OSError:
            return
