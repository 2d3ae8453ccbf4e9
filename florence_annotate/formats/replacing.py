"""What may be replaced in an output folder: never somebody's corrections.

Each staged file is compared with what lies in its place: what is equal stays untouched; what was
written by an earlier export is replaced, or removed where the new export has no such file; what is
anything else was corrected by hand, and is held: neither written, moved nor removed.
"""

import os
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from pathlib import Path

from florence_annotate.errors import OutputError
from florence_annotate.formats import last_copies
from florence_annotate.formats.holding import (
    CHANGED,
    DESCRIPTION,
    LABELS,
    LEFT_OVER,
    Held,
    hold_labels,
)
from florence_annotate.formats.staging import Staging, name_of_content
from florence_annotate.formats.whereabouts import Whereabouts
from florence_annotate.journal import LINK, Change, Exported, Journal, Placed, Planned, PlannedFile

IMAGES = "images/"
METADATA_NAME = "metadata.jsonl"
"""A file beside the images that is none."""
TEXT_SUFFIX = ".txt"
"""The ending of files beside the images that are none."""
_FOLDERS = 4096
"""Of how many it is remembered whether they are missing."""


class Replacing:
    """What earlier exports wrote to an output folder, and what another one would change there."""

    def __init__(self, out: Path, journal: Journal) -> None:
        self.out = out
        self._root = str(out)
        self.exports = journal.exports
        self.whereabouts = Whereabouts(out, journal)
        """Of the originals."""
        self._is_missing = lru_cache(_FOLDERS)(self._find_missing)

    def own_copy(self, sha: str) -> tuple[str, Exported] | None:
        """An image in the output folder that was made of an original with these bytes, and what is
        noted of it."""
        for path in self.exports.files.made_of(sha):
            if not (is_image(path) or last_copies.is_one(path)):
                continue
            known = self.exports.files.at(path)
            try:
                present = self.present(path, known)
            except OSError:
                continue
            if present is None or present.startswith(LINK):
                continue
            for file in known:
                if file.content == present and sha in (file.source, present):
                    return f"{self._root}/{path}", file
        return None

    def compare(self, staging: Staging, *, overwrite: bool) -> Held:
        """Note with the staged files what has to happen for them to lie in place; returns what is
        held, which with `overwrite` is nothing.

        Raises OutputError for a link where a folder has to be.
        """
        planned, held = staging.planned, Held()
        known_files = self.exports.files.by_path()
        for path, wanted, known in side_by_side(planned.each(Change.NONE), known_files):
            if wanted is None and last_copies.is_one(path) and not _comes_back(known, planned):
                continue
            change, why = self._compare_file(path, wanted, known, staging, overwrite=overwrite)
            if change is not Change.NONE:
                planned.set_change(path, change)
            if why is not None:
                held[path] = why
        if hold_labels(self.out, staging.folder, held):
            for file in planned.each(Change.WRITE, Change.REMOVE, below=LABELS):
                held[file.path] = held[DESCRIPTION]
                planned.set_change(file.path, Change.HOLD)
        if _is_described_anew(planned):
            planned.set_change(DESCRIPTION, Change.WRITE)
        return held

    def _compare_file(
        self,
        path: str,
        wanted: PlannedFile | None,
        known: Sequence[Exported],
        staging: Staging,
        *,
        overwrite: bool,
    ) -> tuple[Change, str | None]:
        """What has to happen to one file, and why, where it is held."""
        try:
            present = self.present(path, known)
        except OSError as error:
            return Change.HOLD, error.strerror or str(error)
        content = None if wanted is None else wanted.content
        if present == content and not (wanted and self._is_other_kind(wanted, known, staging)):
            is_noted = wanted is None or (len(known) == 1 and self._is_noted(wanted, known[0]))
            return Change.NONE if is_noted else Change.NOTE, None
        is_ours = present in {None, content, *(file.content for file in known)}
        if not is_ours and not overwrite and not self._is_original(path, known):
            return Change.HOLD, CHANGED if wanted or not is_image(path) else LEFT_OVER
        return Change.WRITE if wanted else Change.REMOVE, None

    def _is_noted(self, wanted: PlannedFile, known: Exported) -> bool:
        """Whether the journal knows a file as it lies there, and what it was made of."""
        is_image = wanted.made_of.placed is not None
        is_same = not is_image or (known.source, known.placed) == wanted.made_of
        return is_same and is_as_known(self._lstat(wanted.path), known)

    def _is_original(self, path: str, known: Sequence[Exported]) -> bool:
        """An original that was edited in place is seen through the dataset's link to it, too."""
        return is_image(path) and self._is_link(path, known)

    def _is_link(
        self, path: str, known: Sequence[Exported], *, is_known_as_one: bool = True
    ) -> bool:
        """Whether an image of the dataset and its original are one file under two names; asked only
        of images that are noted as hard links, or of all."""
        target = self.out / path
        if target.is_symlink():
            return False
        if any(file.placed is None for file in known) and target.stat().st_nlink > 1:
            return True  # older versions did not note how it was placed
        return any(
            file.source is not None
            and (file.placed == Placed.HARD_LINK or not is_known_as_one)
            and self.whereabouts.has_as_link(target, file.source)
            for file in known
        )

    @cached_property
    def _was_killed(self) -> bool:
        """Whether the export before was, as its files moved."""
        return not self.exports.is_finished()

    def _lstat(self, path: str) -> os.stat_result:
        return os.lstat(f"{self._root}/{path}")

    def present(self, path: str, known: Sequence[Exported]) -> str | None:
        """Name of the content that lies at a path now; not read again where size and time are
        known. Raises OSError for what can't be read."""
        if self._is_missing(path.rpartition("/")[0]):
            return None
        try:
            status = self._lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        for file in known:
            if is_as_known(status, file):
                return file.content
        return name_of_content(f"{self._root}/{path}")

    def refuse_link(self, folder: str) -> None:
        """Raise OutputError for a link in the place of a folder of the output."""
        self._is_missing(folder)

    def _find_missing(self, folder: str) -> bool:
        """Whether a folder of the output is not there, so that no file is in it. Asked before
        anything is moved."""
        above = folder.rpartition("/")[0]
        is_missing = bool(above) and self._is_missing(above)
        place = f"{self._root}/{folder}"
        if folder and os.path.islink(place):
            raise OutputError(
                f"{place} is a link, and what is written there would land elsewhere: put a "
                "folder in its place"
            )
        return is_missing or not os.path.lexists(place)

    def _is_other_kind(
        self, wanted: PlannedFile, known: Sequence[Exported], staging: Staging
    ) -> bool:
        """An image that has the right bytes, but as a link instead of a file of its own or the
        reverse."""
        placed = wanted.made_of.placed
        if placed is None or placed == Placed.SYMBOLIC_LINK:
            return False
        if placed == Placed.HARD_LINK:
            return not (staging.folder / wanted.path).samefile(self.out / wanted.path)
        # an export that was killed may have noted a copy that it did not come to make
        return self._is_link(wanted.path, known, is_known_as_one=not self._was_killed)


def is_image(path: str) -> bool:
    """Whether a path of the output is an image of the dataset."""
    return path.startswith(IMAGES) and not path.endswith((f"/{METADATA_NAME}", TEXT_SUFFIX))


def is_as_known(status: os.stat_result, file: Exported) -> bool:
    """Whether a file has the size and time that it was written with."""
    return (status.st_size, status.st_mtime_ns) == (file.size_bytes, file.mtime_ns)


def side_by_side(
    planned: Iterator[PlannedFile], known: Iterator[tuple[str, list[Exported]]]
) -> Iterator[tuple[str, PlannedFile | None, list[Exported]]]:
    """Each path of either, in their order, with what both say of it."""
    one, other = next(planned, None), next(known, None)
    while one is not None or other is not None:
        path = min(each[0] for each in (one, other) if each is not None)
        wanted = one if one is not None and one.path == path else None
        files = other[1] if other is not None and other[0] == path else []
        yield path, wanted, files
        one = next(planned, None) if wanted is not None else one
        other = next(known, None) if files else other


def _comes_back(known: Sequence[Exported], planned: Planned) -> bool:
    """Whether the dataset gets another file of an image of which this is kept."""
    sources = {file.source or file.content for file in known}
    return any(planned.has_image_of(source, but=[Change.HOLD]) for source in sources)


def _is_described_anew(planned: Planned) -> bool:
    """Whether something changes that YOLO's description is about, though that does not."""
    description = planned.at(DESCRIPTION)
    if description is None or description.content is None:
        return False
    if description.change not in (Change.NONE, Change.NOTE):
        return False
    changes = Change.WRITE, Change.REMOVE
    return any(planned.has(*changes, below=folder) for folder in (LABELS, IMAGES))
