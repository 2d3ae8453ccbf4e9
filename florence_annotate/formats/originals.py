"""The image files that an export is about: are they what was annotated, and where are they?"""

import os
from collections.abc import Sequence

from florence_annotate.dataset.annotated_image import AnnotatedImage
from florence_annotate.errors import ExportError
from florence_annotate.formats.entries import Notes
from florence_annotate.formats.replacing import Replacing
from florence_annotate.images import codec
from florence_annotate.journal import Exported
from florence_annotate.types import ImageRef


class Originals:
    """Finds the file of each image, and leaves out images whose boxes would be wrong.

    Those are the images whose file is gone, or another one now, and of which the dataset holds no
    copy.
    """

    def __init__(
        self,
        folders: Sequence[Replacing],
        notes: Notes,
        *,
        are_needed: bool,
        seen_again: list[ImageRef] | None = None,
    ) -> None:
        """`folders` may have what is left of an image. Where they are not needed, nobody looks at
        originals. `seen_again` gets the images whose files look other ones than those that were
        read, and are the same."""
        self._folders = folders
        self._notes = notes
        self._seen_again = seen_again
        self._are_needed = are_needed
        self._found_any = False
        self.lost = 0
        """How many images are left out because there is no file of them."""

    def find(self, image: AnnotatedImage) -> tuple[str, Exported | None] | None:
        """The file of an image, and where that is the dataset's own, what is noted of it; None
        where the image is left out."""
        problem = self._problem(image) if self._are_needed else None
        if not problem:
            self._found_any = True
            return os.fsdecode(image.ref.path), None
        copies = (folder.own_copy(image.sha) for folder in self._folders)
        kept = next(filter(None, copies), None)
        if kept is None:
            if not os.path.exists(image.ref.path):
                self.lost += 1
            self._notes.left_out[image.ref.key] = problem
            return None
        self._found_any = True
        return kept

    def refuse_none(self) -> None:
        """Raise ExportError where images were asked for, and all of them were left out."""
        if self._notes.left_out and not self._found_any:
            key, reason = next(iter(self._notes.left_out.items()))
            raise ExportError(
                f"no image of the job is where it was ({key}: {reason}), so nothing was "
                "exported: put them back, run the job on their new folder, or export with "
                "--images none --no-visuals"
            )

    def _problem(self, image: AnnotatedImage) -> str | None:
        """Why a file can't stand for its image; None where it can."""
        ref = image.ref
        try:
            status = os.stat(ref.path)
        except OSError as error:
            return f"its file is gone ({error.strerror})"
        if any(folder.whereabouts.is_inside(ref.path) for folder in self._folders):
            return "its file is a link into the dataset"
        if ref.is_seen_in(status):
            return None
        try:
            is_same = codec.digest(codec.read_bytes(ref.path)) == image.sha
        except codec.UnreadableImageError as error:
            return str(error)
        if not is_same:
            return "its file was changed since it was annotated: run the job again"
        if self._seen_again is not None:
            self._seen_again.append(ref.seen_as(status))
        return None
