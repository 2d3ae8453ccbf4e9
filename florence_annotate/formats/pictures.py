"""The pictures of a dataset, under `images/<split>/`: links to the originals, or copies.

Originals are never touched. A link would hand a reader the original itself, so a picture gets a
file of its own where a reader would read it turned (EXIF orientation), rewrite it in place (a JPEG
without its end marker, which ultralytics repairs) or not list it (a GIF). Hard links are the
default: supervision's COCO reader refuses symbolic links that lead out of the dataset.
"""

import os
import shutil
from pathlib import Path, PurePosixPath

from florence_annotate.formats.entries import Entry, Export
from florence_annotate.images import codec


def write(export: Export) -> None:
    """Pictures that turn out unreadable are noted as left out, for the formats that follow."""
    for entry in export:
        path = f"images/{entry.split}/{entry.name}"
        try:
            _write_one(export, entry, path)
        except codec.UnreadableImageError as error:
            export.notes.left_out[entry.image.ref.key] = str(error)


def read(entry: Entry) -> bytes:
    """The bytes of a picture as a dataset holds it: the original's own wherever that is upright and
    of a kind that readers list. Raises UnreadableImageError."""
    original = os.fsencode(entry.original)
    if _is_as_it_should_be(entry, codec.check_for_link(original)):
        return codec.read_bytes(original)
    return _encode_upright(entry)


def _write_one(export: Export, entry: Entry, path: str) -> None:
    check = codec.check_for_link(os.fsencode(entry.original))
    if not _is_as_it_should_be(entry, check):
        export.staging.write_bytes(path, _encode_upright(entry))
    elif export.image_mode == "copy" or not check.is_whole:
        _copy(export, entry.original, path)
    elif not _link(export, entry, path):
        _copy(export, entry.original, path)
        export.notes.copied += 1


def _is_as_it_should_be(entry: Entry, check: codec.LinkCheck) -> bool:
    """Upright, and of the kind that its export name says."""
    own = PurePosixPath(entry.image.ref.key).suffix.lower()
    return check.is_upright and PurePosixPath(entry.name).suffix.lower() == own


def _encode_upright(entry: Entry) -> bytes:
    # sized by the journal: what was annotated has been decoded under the limit of its run
    max_pixels = entry.image.width * entry.image.height
    upright = codec.decode(codec.read_bytes(os.fsencode(entry.original)), max_pixels)
    return codec.encode(upright, PurePosixPath(entry.name).suffix)


def _link(export: Export, entry: Entry, path: str) -> bool:
    if export.image_mode == "hardlink" or entry.is_kept:
        return export.staging.hard_link(path, entry.original, entry.image.sha)
    return export.staging.symbolic_link(path, entry.original)


def _copy(export: Export, original: Path, path: str) -> None:
    with export.staging.file(path) as staged:
        shutil.copyfile(original, staged)
