"""The image files that an export is about: are they what was annotated, and where are they?"""

import os
from pathlib import Path

from florence_annotate.dataset.annotated_image import AnnotatedImage
from florence_annotate.errors import ExportError
from florence_annotate.formats.entries import Notes
from florence_annotate.formats.replacing import Replacing
from florence_annotate.images import codec


class Originals:
    """Finds the file of each image, and leaves out images whose boxes would be wrong.

    Those are the images whose file is gone, or another one now, and of which the dataset holds no
    copy.
    """

    def __init__(self, replacing: Replacing, notes: Notes, *, are_needed: bool) -> None:
        """Where they are not needed, nobody looks at them."""
        self._replacing = replacing
        self._notes = notes
        self._are_needed = are_needed
        self._found_any = False

    def find(self, image: AnnotatedImage) -> tuple[Path, bool] | None:
        """The file of an image, and whether that is the dataset's own copy; None where the image is
        left out."""
        problem = _problem(image) if self._are_needed else None
        kept = self._replacing.own_copy(image.sha) if problem else None
        if problem and kept is None:
            self._notes.left_out[image.ref.key] = problem
            return None
        self._found_any = True
        return (Path(os.fsdecode(image.ref.path)), False) if kept is None else (kept, True)

    def refuse_none(self) -> None:
        """Raise ExportError where images were asked for, and all of them were left out."""
        if self._notes.left_out and not self._found_any:
            key, reason = next(iter(self._notes.left_out.items()))
            raise ExportError(
                f"no image of the job is where it was ({key}: {reason}), so nothing was "
                "exported: put them back, run the job on their new folder, or export with "
                "--images none --no-visuals"
            )


def _problem(image: AnnotatedImage) -> str | None:
    """Why a file can't stand for its image; None where it can."""
    try:
        status = os.stat(image.ref.path)
    except OSError as error:
        return f"its file is gone ({error.strerror})"
    if (status.st_size, status.st_mtime_ns) == (image.ref.size_bytes, image.ref.mtime_ns):
        return None
    try:
        is_same = codec.digest(codec.read_bytes(image.ref.path)) == image.sha
    except codec.UnreadableImageError as error:
        return str(error)
    return None if is_same else "its file was changed since it was annotated: run the job again"
