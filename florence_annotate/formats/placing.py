"""The images of a dataset, under `images/<split>/`: links to the originals, or copies.

Originals are never touched. A link would hand a reader the original itself, so an image gets a
file of its own where a reader would read it turned (EXIF orientation), rewrite it in place (a JPEG
without its end marker, which ultralytics repairs) or not list it (a GIF). Hard links are the
default: supervision's COCO reader refuses symbolic links that lead out of the dataset.
"""

import os
from pathlib import PurePosixPath

from florence_annotate.dataset.dataset import Dataset
from florence_annotate.formats.entries import Entry, Export
from florence_annotate.images import codec


class Placing:
    """Writes the images themselves; those that turn out unreadable are left out of all formats."""

    def __init__(self, export: Export) -> None:
        self._staging, self._notes = export.staging, export.notes
        self._mode = export.spec.images

    def begin(self, dataset: Dataset) -> None:
        pass

    def add(self, entry: Entry) -> None:
        path = f"images/{entry.split}/{entry.name}"
        try:
            self._place(entry, path)
        except codec.UnreadableImageError as error:
            self._notes.left_out[entry.image.ref.key] = str(error)

    def finish(self) -> None:
        pass

    def _place(self, entry: Entry, path: str) -> None:
        check = codec.check_for_link(os.fsencode(entry.original))
        if not _is_as_it_should_be(entry, check):
            self._staging.write_bytes(path, _encode_upright(entry))
        elif self._mode == "copy" or not check.is_whole:
            self._staging.copy(path, entry.original)
        elif not self._link(entry, path):
            self._staging.copy(path, entry.original)
            self._notes.copied += 1

    def _link(self, entry: Entry, path: str) -> bool:
        if self._mode == "hardlink" or entry.is_kept:
            return self._staging.hard_link(path, entry.original, entry.image.sha)
        return self._staging.symbolic_link(path, entry.original)


def image_bytes(entry: Entry) -> bytes:
    """The file of an image as a dataset holds it: the original's own bytes wherever that is upright
    and of a kind that readers list. Raises UnreadableImageError."""
    original = os.fsencode(entry.original)
    if _is_as_it_should_be(entry, codec.check_for_link(original)):
        return codec.read_bytes(original)
    return _encode_upright(entry)


def _is_as_it_should_be(entry: Entry, check: codec.LinkCheck) -> bool:
    """Upright, and of the kind that its export name says."""
    own = PurePosixPath(entry.image.ref.key).suffix.lower()
    return check.is_upright and PurePosixPath(entry.name).suffix.lower() == own


def _encode_upright(entry: Entry) -> bytes:
    # sized by the journal: what was annotated has been decoded under the limit of its run
    max_pixels = entry.image.width * entry.image.height
    upright = codec.decode(codec.read_bytes(os.fsencode(entry.original)), max_pixels)
    return codec.encode(upright, PurePosixPath(entry.name).suffix)
