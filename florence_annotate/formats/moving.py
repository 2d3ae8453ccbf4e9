"""A staged export → the output folder.

All that happens is noted in the journal before it does, and no step takes the last file of an
image: killed in between, nothing is lost, and the next export finishes the work. What can't be
written is held, and all else goes on.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from florence_annotate.errors import OutputError
from florence_annotate.formats import last_copies
from florence_annotate.formats.holding import DESCRIPTION, also_held
from florence_annotate.formats.last_copies import LastCopies
from florence_annotate.formats.replacing import Changes, Replacing, is_image, sources_of
from florence_annotate.formats.staging import Staging
from florence_annotate.journal import Exported, Made

_WAITS = "it stays until its image can be written to its new place"


class Moving:
    """Makes the changes of one export; `Changes.held` gets what turns out not to be possible."""

    def __init__(self, replacing: Replacing, staging: Staging, changes: Changes) -> None:
        self._replacing = replacing
        self._staging = staging
        self._changes = changes
        self._out = replacing.out
        self._last_copies = LastCopies(replacing.out, replacing.whereabouts)
        self._announced: dict[str, Exported] = {}
        """What is noted before it lies there, by path."""
        self._undone: set[str] = set()
        """Paths of it where it does not lie in the end."""
        self._moved: set[str] = set()
        """Folders that were moved as a whole."""

    def commit(self, made: Made, outcome: Callable[[], Any] = lambda: None) -> None:
        """Make the changes; what `outcome` gives after them is kept in the journal.

        Raises OutputError.
        """
        exports, changes = self._replacing.exports, self._changes
        try:
            if changes.replaced or changes.removed:
                expected = sources_of(self._staging, but=changes.held)
                last = self._find_last_copies(expected)
                written = {
                    path: self._stamp(self._staging.folder, path) for path in changes.replaced
                }
                self._announced = written | dict(last.values())
                exports.announce(made, self._announced.items())
                self._take_description_away()
                self._move_last_copies({path: orphan for path, (orphan, _) in last.items()})
                self._move()
                self._remove(expected, dict(last.values()))
                self._undone |= written.keys() & changes.held.keys()
            exports.settle(made, self._lying(), self._gone(), outcome())
        except OSError as error:
            raise OutputError.at(self._out, error) from error

    def _find_last_copies(self, expected: set[str]) -> dict[str, tuple[str, Exported]]:
        """Path of each image that would be written over or removed and is a last copy → where it is
        kept, and what is noted of it there.

        `expected` are the originals of all images that the dataset is to have. Before one of these
        lies in its place, it keeps no file from being written over.
        """
        changes, images = self._changes, self._staging.images
        replaced = set(changes.replaced)
        lying = sources_of(self._staging, but=replaced | changes.held.keys())
        found = {}
        for path in (*changes.replaced, *changes.removed):
            known = self._replacing.known.get(path, ())
            content = self._replacing.present(path, known) if is_image(path) and known else None
            if content is not None:
                noted = next((one for one in known if one.content == content), None)
                own = {images[path].source} if path in images else set()
                kept = lying | own if path in replaced else expected
                if last := self._last_copies.find(path, content, noted, kept):
                    found[path] = last
        if found:
            self._replacing.is_missing(last_copies.FOLDER)  # raises where it is a link
        return found

    def _take_description_away(self) -> None:
        """It goes before what it describes changes, and comes last."""
        changes = self._changes
        if DESCRIPTION not in {*changes.replaced, *changes.removed}:
            return
        try:
            (self._out / DESCRIPTION).unlink(missing_ok=True)
        except PermissionError as error:
            self._hold(DESCRIPTION, error)
            changing = (*changes.replaced, *changes.removed)
            for path in also_held(self._out, self._staging.folder, changes.held, changing):
                self._hold(path, error)

    def _move_last_copies(self, last: dict[str, str]) -> None:
        for path, orphan in last.items():
            try:
                self._last_copies.move(path, orphan)
            except OSError as error:
                self._changes.held[path] = (
                    f"its last copy can't move to {last_copies.FOLDER}/: {error.strerror or error}"
                )
        self._undone.update(path for path in last.values() if not self._is_there(path))

    def _move(self) -> None:
        """Move staged files into place; a folder that is not there yet, as a whole."""
        for path in sorted(self._changes.replaced, key=lambda path: path == DESCRIPTION):
            if path not in self._changes.held:
                try:
                    self._move_file(path)
                except (IsADirectoryError, NotADirectoryError, PermissionError) as error:
                    self._hold(path, error)

    def _move_file(self, path: str) -> None:
        folder = path.rpartition("/")[0]
        if not self._replacing.is_missing(folder):
            os.replace(self._staging.folder / path, self._out / path)
        elif (whole := self._highest_missing(folder)) not in self._moved:
            os.rename(self._staging.folder / whole, self._out / whole)
            self._moved.add(whole)

    def _highest_missing(self, folder: str) -> str:
        """The highest folder on the way to a missing one that is missing itself."""
        above = folder.rpartition("/")[0]
        if above and self._replacing.is_missing(above):
            return self._highest_missing(above)
        return folder

    def _remove(self, expected: set[str], orphans: dict[str, Exported]) -> None:
        """Remove what the export has no more, and what moved to `orphans` only until another file
        of its image lay in its place; see `_find_last_copies`."""
        held = self._changes.held
        placed = sources_of(self._staging, but=held)
        lost = expected - placed
        waited = [path for path, file in orphans.items() if file.source in placed]
        self._undone.update(waited)
        for path in (*self._changes.removed, *waited):
            if path in held:
                continue
            if not lost.isdisjoint(self._replacing.sources_at(path)):
                if is_image(path):  # of a last copy that stays nobody need know
                    held[path] = _WAITS
                continue
            try:
                (self._out / path).unlink()
            except (FileNotFoundError, NotADirectoryError):
                pass
            except PermissionError as error:
                self._hold(path, error)
            _remove_empty_parents(self._out / path, self._out)

    def _is_there(self, path: str) -> bool:
        return os.path.lexists(self._out / path)

    def _hold(self, path: str, error: OSError) -> None:
        self._changes.held[path] = error.strerror or str(error)

    def _lying(self) -> Iterator[tuple[str, Exported]]:
        """What is to be noted as it lies there, beside what was announced."""
        for path in self._changes.touched:
            yield path, self._stamp(self._out, path)
        for path in filter(self._is_there, self._undone):
            for file in self._replacing.known.get(path, ()):
                yield path, file

    def _gone(self) -> Iterator[tuple[str, Exported]]:
        """What is noted of files that do not lie there, or no more."""
        for path in self._undone:
            yield path, self._announced[path]
        for path, known in self._replacing.known.items():
            if path in self._changes.held:
                continue
            if last_copies.is_one(path) and self._is_there(path):
                continue
            for file in known:
                if file.content != self._staging.files.get(path):
                    yield path, file

    def _stamp(self, folder: Path, path: str) -> Exported:
        """What is to be noted of a staged file, or of one that lies in place."""
        status = os.lstat(f"{folder}/{path}")
        image = self._staging.images.get(path)
        made_of = (None, None) if image is None else (image.source, image.placed)
        content = self._staging.files[path]
        return Exported(content, status.st_size, status.st_mtime_ns, *made_of)


def _remove_empty_parents(path: Path, top: Path) -> None:
    for folder in path.parents:
        if folder == top:
            return
        try:
            folder.rmdir()
        except OSError:
            return
