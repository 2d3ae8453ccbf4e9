"""The images of a dataset, under `images/<split>/`: clones of the originals, links, or copies.

Originals are never touched. Where the file system makes clones, an image is one: it shares the
original's blocks until somebody changes one of the two. Elsewhere it is a link, a hard one, since
supervision's COCO reader refuses symbolic links that lead out of the dataset. A link hands a reader
the original itself, so an image gets a file of its own where a reader would read it turned (EXIF
orientation), rewrite it in place (a JPEG without its end marker, which ultralytics repairs) or not
list it (a GIF).
"""

import os
from pathlib import PurePosixPath

from florence_annotate.dataset.dataset import Dataset
from florence_annotate.formats.entries import Entry, Export
from florence_annotate.images import codec
from florence_annotate.journal import Exported, MadeOf, Placed


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
        source = entry.image.sha
        if entry.kept is not None:
            self._keep(entry.original, entry.kept, path, source)
        elif not _is_as_it_should_be(entry, check := _check(entry)):
            made_of = MadeOf(source, Placed.ENCODED)
            self._staging.write_bytes(path, _encode_upright(entry), made_of)
        elif self._mode == "copy" or not check.is_whole:
            self._staging.copy(path, entry.original, MadeOf(source, Placed.COPY))
        else:
            self._link(entry.original, path, source)

    def _keep(self, held: str, kept: Exported, path: str, source: str) -> None:
        """The dataset's own file, which is as it should be, under the name that it has now. Under
        another one, or in another folder, a file of its own: an edit of one is none of the other.
        """
        placed = Placed.ENCODED if kept.placed == Placed.ENCODED else Placed.COPY
        made_of = MadeOf(source, placed)
        staging = self._staging
        # another name of it would be that of an image with the same bytes
        is_free = held.startswith(f"{staging.out}/") and not staging.planned.has_image_of(source)
        if is_free and staging.hard_link(path, held, kept.content, made_of):
            return
        if not staging.clone(path, held, kept.content, made_of):
            staging.copy(path, held, made_of)

    def _link(self, original: str, path: str, source: str) -> None:
        staging, mode = self._staging, self._mode
        if mode == "symlink":
            if staging.symbolic_link(path, original, MadeOf(source, Placed.SYMBOLIC_LINK)):
                return
        elif mode == "auto" and staging.clone(path, original, source, MadeOf(source, Placed.CLONE)):
            return
        elif staging.hard_link(path, original, source, MadeOf(source, Placed.HARD_LINK)):
            self._notes.hard_linked += 1
            return
        staging.copy(path, original, MadeOf(source, Placed.COPY))
        self._notes.copied += 1


def image_bytes(entry: Entry) -> bytes:
    """The file of an image as a dataset holds it: the original's own bytes wherever that is upright
    and of a kind that readers list. Raises UnreadableImageError."""
    if entry.kept is not None or _is_as_it_should_be(entry, _check(entry)):
        return codec.read_bytes(os.fsencode(entry.original))
    return _encode_upright(entry)


def _check(entry: Entry) -> codec.LinkCheck:
    return codec.check_for_link(os.fsencode(entry.original))


def _is_as_it_should_be(entry: Entry, check: codec.LinkCheck) -> bool:
    """Upright, and of the kind that its export name says."""
    own = PurePosixPath(entry.image.ref.key).suffix.lower()
    return check.is_upright and PurePosixPath(entry.name).suffix.lower() == own


def _encode_upright(entry: Entry) -> bytes:
    # sized by the journal: what was annotated has been decoded under the limit of its run
    max_pixels = entry.image.width * entry.image.height
    upright = codec.decode(codec.read_bytes(os.fsencode(entry.original)), max_pixels)
    return codec.encode(upright, PurePosixPath(entry.name).suffix)
