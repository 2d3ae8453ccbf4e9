"""A staged export → the output folder.

All that happens is noted in the journal before it does, and no step takes the last file of an
image: killed in between, nothing is lost, and the next export finishes the work. What can't be
written is held, and all else goes on.
"""

import errno
import os
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from florence_annotate.errors import OutputError
from florence_annotate.formats import last_copies
from florence_annotate.formats.holding import DESCRIPTION, LABELS, Held, hold_labels
from florence_annotate.formats.last_copies import LastCopies
from florence_annotate.formats.replacing import IMAGES, Replacing, is_image, side_by_side
from florence_annotate.formats.staging import Staging
from florence_annotate.journal import Change, Exported, Made, PlannedFile

_WAITS = "it stays until its image can be written to its new place"
_UNWRITABLE = (IsADirectoryError, NotADirectoryError, PermissionError)


class Moving:
    """Makes the changes of one export; `held` gets what turns out not to be possible."""

    def __init__(self, replacing: Replacing, staging: Staging, held: Held) -> None:
        self._replacing = replacing
        self._staging = staging
        self._planned = staging.planned
        self._held = held
        self._out = replacing.out
        self._files = replacing.exports.files
        self._last_copies = LastCopies(replacing.out, replacing.whereabouts)
        self._undone: list[tuple[str, str]] = []
        """Path and content of what was announced to the journal and could not be written."""
        self._unplaced: set[str] = set()
        """Originals of images that are held since they could not be written."""

    def commit(self, made: Made, outcome: Callable[[], Any] = lambda: None) -> None:
        """Make the changes; what `outcome` gives after them is kept in the journal.

        Raises OutputError.
        """
        exports, planned = self._replacing.exports, self._planned
        try:
            if planned.has(Change.WRITE, Change.REMOVE):
                last = self._find_last_copies()
                orphans = dict(last.values())
                written = self._stamps(Change.WRITE, self._staging.folder)
                exports.announce(made, chain(written, orphans.items()))
                self._take_description_away()
                self._move_last_copies({path: orphan for path, (orphan, _) in last.items()})
                self._move()
                self._remove(orphans)
                self._undone += [
                    (path, file.content)
                    for path, file in orphans.items()
                    if not self._is_there(path)
                ]
            noted = self._stamps(Change.NOTE, self._out)
            exports.settle(made, noted, self._undone, self._kept(), outcome())
        except OSError as error:
            raise OutputError.at(self._out, error) from error

    def _find_last_copies(self) -> dict[str, tuple[str, Exported]]:
        """Path of each image that would be written over or removed and is a last copy → where it is
        kept, and what is noted of it there.

        A file that is to be removed is none where the dataset is to have another file of its
        original, since it is removed only once that lies in its place. A file is written over
        before that, so for it only those count that lie there already.
        """
        found = {}
        for path, file, known in side_by_side(
            self._planned.each(Change.WRITE, Change.REMOVE, below=IMAGES),
            self._files.by_path(IMAGES),
        ):
            if file is None or not known or not is_image(path):
                continue
            content = self._replacing.present(path, known)
            if content is None:
                continue
            noted = next((one for one in known if one.content == content), None)
            source = (noted and noted.source) or content
            to_come = [Change.HOLD] if file.content is None else [Change.HOLD, Change.WRITE]
            if source == file.made_of.source or self._planned.has_image_of(source, but=to_come):
                continue
            if last := self._last_copies.find(path, source, content, noted):
                found[path] = last
        if found:
            self._replacing.refuse_link(last_copies.FOLDER)
        return found

    def _take_description_away(self) -> None:
        """It goes before what it describes changes, and comes last."""
        description = self._planned.at(DESCRIPTION)
        if description is None or description.change not in (Change.WRITE, Change.REMOVE):
            return
        if error := self._unlink(DESCRIPTION):
            self._hold(description, error)
            if hold_labels(self._out, self._staging.folder, self._held):
                for file in self._planned.each(Change.WRITE, Change.REMOVE, below=LABELS):
                    self._hold(file, error)

    def _move_last_copies(self, last: dict[str, str]) -> None:
        for path, orphan in last.items():
            try:
                self._last_copies.move(path, orphan)
            except OSError as error:
                file = self._planned.at(path)
                assert file is not None
                reason = error.strerror or str(error)
                self._hold(file, f"its last copy can't move to {last_copies.FOLDER}/: {reason}")

    def _move(self) -> None:
        """Move staged files into place; a folder that is not there yet, as a whole."""
        whole = None
        for file in self._planned.each(Change.WRITE):
            if file.path == DESCRIPTION or (whole is not None and file.path.startswith(whole)):
                continue
            try:
                whole = self._move_file(file.path) or whole
            except _UNWRITABLE as error:
                self._hold(file, error)
        description = self._planned.at(DESCRIPTION)
        if description is not None and description.change is Change.WRITE:
            try:
                self._move_file(DESCRIPTION)
            except _UNWRITABLE as error:
                self._hold(description, error)

    def _move_file(self, path: str) -> str | None:
        """Move one file; where its folder is not there yet, the highest such folder as a whole,
        whose path with a `/` behind it is returned."""
        try:
            # as texts: a `Path` would take longer than the move
            os.replace(f"{self._staging.folder}/{path}", f"{self._out}/{path}")
        except FileNotFoundError:
            folder = _highest_missing(self._out, path)
            os.rename(self._staging.folder / folder, self._out / folder)
            return f"{folder}/"
        return None

    def _remove(self, orphans: dict[str, Exported]) -> None:
        """Remove what the export has no more, and what moved to `orphans` only until another file
        of its image lay in its place; see `_find_last_copies`."""
        lost = {source for source in self._unplaced if not self._is_placed(source)}
        for file in self._planned.each(Change.REMOVE):
            if lost and not lost.isdisjoint(self._sources_at(file.path)):
                if is_image(file.path):  # of a last copy that stays nobody need know
                    self._hold(file, _WAITS)
                continue
            if error := self._unlink(file.path):
                self._hold(file, error)
        for path, kept in orphans.items():
            has_waited = kept.source is not None and self._is_placed(kept.source)
            if has_waited and (error := self._unlink(path)):
                self._held[path] = error.strerror or str(error)

    def _unlink(self, path: str) -> OSError | None:
        """Remove a file, and folders that are empty without it; why it can't be."""
        try:
            os.unlink(f"{self._out}/{path}")
        except (FileNotFoundError, NotADirectoryError):
            pass
        except PermissionError as error:
            return error
        _remove_empty_parents(path, self._out)
        return None

    def _is_placed(self, source: str) -> bool:
        """Whether the dataset has an image of an original, now that all are moved."""
        return self._planned.has_image_of(source, but=[Change.HOLD])

    def _sources_at(self, path: str) -> set[str]:
        """The originals of which an image that was noted at a path was made."""
        return {file.source or file.content for file in self._files.at(path)}

    def _is_there(self, path: str) -> bool:
        return os.path.lexists(f"{self._out}/{path}")

    def _hold(self, file: PlannedFile, reason: OSError | str) -> None:
        text = reason if isinstance(reason, str) else reason.strerror or str(reason)
        self._held[file.path] = text
        self._planned.set_change(file.path, Change.HOLD)
        if file.content is not None:
            self._undone.append((file.path, file.content))
            if file.made_of.source is not None:
                self._unplaced.add(file.made_of.source)

    def _kept(self) -> Iterator[str]:
        """Paths of which is known what was known before."""
        yield from self._held
        for path, _ in self._files.each(f"{last_copies.FOLDER}/"):
            if self._is_there(path):
                yield path

    def _stamps(self, change: Change, folder: Path) -> Iterator[tuple[str, Exported]]:
        """What is to be noted of files to which this happens, as they lie in a folder."""
        for file in self._planned.each(change):
            if file.content is not None:
                status = os.lstat(f"{folder}/{file.path}")
                stamp = status.st_size, status.st_mtime_ns
                yield file.path, Exported(file.content, *stamp, *file.made_of)


def _highest_missing(out: Path, path: str) -> str:
    """The highest folder on the way to a file that is missing. Raises FileNotFoundError where none
    is."""
    folder = ""
    for part in path.split("/")[:-1]:
        folder = f"{folder}/{part}".lstrip("/")
        if not os.path.lexists(out / folder):
            return folder
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(out / path))


def _remove_empty_parents(path: str, top: Path) -> None:
    while path := path.rpartition("/")[0]:
        try:
            os.rmdir(f"{top}/{path}")
        except OSError:
            return
