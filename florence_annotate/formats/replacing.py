"""What may be replaced in an output folder: never somebody's corrections.

Each staged file is compared with what lies in its place: what is equal stays untouched; what was
written by an earlier export is replaced, or removed where the new export has no such file; what is
anything else was corrected by hand, and is held: neither written, moved nor removed.
"""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from florence_annotate.errors import OutputError
from florence_annotate.formats import last_copies
from florence_annotate.formats.holding import (
    CHANGED,
    DESCRIPTION,
    LABELS,
    LEFT_OVER,
    Held,
    also_held,
)
from florence_annotate.formats.staging import LINK, Staging, name_of_content
from florence_annotate.formats.whereabouts import Whereabouts
from florence_annotate.journal import Exported, Journal, Placed

IMAGES = "images/"
METADATA_NAME = "metadata.jsonl"
"""A file beside the images that is none."""
TEXT_SUFFIX = ".txt"
"""The ending of files beside the images that are none."""


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
    """What earlier exports wrote to an output folder, and what another one would change there."""

    def __init__(self, out: Path, journal: Journal) -> None:
        self.out = out
        self._root = str(out)
        self.exports = journal.exports
        self.whereabouts = Whereabouts(out, journal)
        """Of the originals."""
        self._missing: dict[str, bool] = {}
        """Whether a folder is missing in the output, as far as that was asked."""

    @cached_property
    def known(self) -> dict[str, list[Exported]]:
        """What was noted before this export."""
        return self.exports.files()

    @cached_property
    def _copies(self) -> dict[str, list[str]]:
        """SHA-256 of an original → paths of the images that an earlier export made of it, and of
        last copies."""
        found: dict[str, list[str]] = {}
        for path, files in self.known.items():
            if is_image(path) or last_copies.is_one(path):
                for file in files:
                    if not file.content.startswith(LINK):
                        found.setdefault(file.source or file.content, []).append(path)
        return found

    def own_copy(self, sha: str) -> tuple[str, Exported] | None:
        """An image in the output folder that was made of an original with these bytes, and what is
        noted of it."""
        for path in self._copies.get(sha, ()):
            known = self.known[path]
            try:
                present = self.present(path, known)
            except OSError:
                continue
            for file in known:
                if file.content == present and sha in (file.source, present):
                    return f"{self._root}/{path}", file
        return None

    def compare(self, staging: Staging, *, overwrite: bool) -> Changes:
        """What has to be done; with `overwrite` nothing is held.

        Raises OutputError for a link where a folder has to be.
        """
        changes = Changes()
        for path, wanted in staging.files.items():
            self._compare_file(path, wanted, changes, staging, overwrite)
        restored = sources_of(staging, but=changes.held)
        for path in self.known.keys() - staging.files.keys():
            if last_copies.is_one(path) and restored.isdisjoint(self.sources_at(path)):
                continue
            self._compare_file(path, None, changes, staging, overwrite)
        changing = (*changes.replaced, *changes.removed)
        for path in also_held(self.out, staging.folder, changes.held, changing):
            changes.held[path] = changes.held[DESCRIPTION]
        changes.replaced = [path for path in changes.replaced if path not in changes.held]
        changes.removed = sorted(path for path in changes.removed if path not in changes.held)
        if _is_described_anew(staging, changes):
            changes.replaced.append(DESCRIPTION)
            changes.touched = [path for path in changes.touched if path != DESCRIPTION]
        return changes

    def sources_at(self, path: str) -> set[str]:
        """The originals of which an image that was noted at a path was made."""
        return {file.source or file.content for file in self.known.get(path, ())}

    def _compare_file(
        self, path: str, wanted: str | None, changes: Changes, staging: Staging, overwrite: bool
    ) -> None:
        known = self.known.get(path, ())
        try:
            present = self.present(path, known)
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
        return is_image(path) and self._is_link(path, known)

    def _is_link(self, path: str, known: Sequence[Exported]) -> bool:
        """Whether an image of the dataset and its original are one file under two names."""
        target = self.out / path
        if target.is_symlink():
            return False
        if any(file.placed is None for file in known) and target.stat().st_nlink > 1:
            return True  # older versions did not note how it was placed
        return any(
            file.source is not None
            and file.placed == Placed.HARD_LINK
            and self.whereabouts.has_as_link(target, file.source)
            for file in known
        )

    def _lstat(self, path: str) -> os.stat_result:
        return os.lstat(f"{self._root}/{path}")

    def present(self, path: str, known: Sequence[Exported]) -> str | None:
        """Name of the content that lies at a path now; not read again where size and time are
        known. Raises OSError for what can't be read."""
        if self.is_missing(path.rpartition("/")[0]):
            return None
        try:
            status = self._lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        for file in known:
            if is_as_known(status, file):
                return file.content
        return name_of_content(f"{self._root}/{path}")

    def is_missing(self, folder: str) -> bool:
        """Whether a folder of the output is not there, so that no file is in it: as it was when
        that was asked first. Raises OutputError for a link in its place."""
        missing = self._missing.get(folder)
        if missing is None:
            above = folder.rpartition("/")[0]
            missing = bool(above) and self.is_missing(above)  # asked before anything is moved
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
            return not (staging.folder / path).samefile(self.out / path)
        return self._is_link(path, known)


def is_image(path: str) -> bool:
    """Whether a path of the output is an image of the dataset."""
    return path.startswith(IMAGES) and not path.endswith((f"/{METADATA_NAME}", TEXT_SUFFIX))


def is_as_known(status: os.stat_result, file: Exported) -> bool:
    """Whether a file has the size and time that it was written with."""
    return (status.st_size, status.st_mtime_ns) == (file.size_bytes, file.mtime_ns)


def sources_of(staging: Staging, but: Collection[str]) -> set[str]:
    """The originals of the staged images, but for those at some paths."""
    return {image.source for path, image in staging.images.items() if path not in but}


def _is_described_anew(staging: Staging, changes: Changes) -> bool:
    """Whether something changes that YOLO's description is about, though that does not."""
    if DESCRIPTION not in staging.files or DESCRIPTION in {*changes.held, *changes.replaced}:
        return False
    changing = (*changes.replaced, *changes.removed)
    return any(path.startswith((LABELS, IMAGES)) for path in changing)
