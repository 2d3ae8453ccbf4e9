"""The files of a job's images: the one that the page shows, and the one that its thumbnail is made
of."""

import os
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from florence_annotate.dataset.annotated_image import AnnotatedImage
from florence_annotate.errors import OutputError
from florence_annotate.formats.entries import Notes
from florence_annotate.formats.originals import Originals
from florence_annotate.formats.replacing import Replacing
from florence_annotate.images import codec
from florence_annotate.journal import Assigned, Journal


class Pictures:
    def __init__(self, journal: Journal, out: Path, page: Path) -> None:
        self.assigned = journal.exports.assignments.by_rising_key()
        """What an image has kept from exports; keys are asked for in their order."""
        self._exports = journal.exports
        self._replacing = Replacing(out, journal)
        self._originals = Originals([self._replacing], Notes(), are_needed=True)
        self._out = out
        self._way = os.path.relpath(out, page.parent)

    def address(self, image: AnnotatedImage, assigned: Assigned | None) -> str | None:
        """Of the image as the dataset has it, relative to the page; None where it has none, or
        another picture by now: the boxes would be wrong on that."""
        if assigned is None:
            return None
        name = f"images/{assigned.split}/{assigned.name}"
        with suppress(OSError, OutputError, codec.UnreadableImageError):
            if self._shows(name, image):
                return quote(os.fsencode(os.path.normpath(os.path.join(self._way, name))))
        return None

    def original(self, image: AnnotatedImage) -> str | None:
        """A file with the image as it was annotated; None where there is none any more."""
        found = self._originals.find(image)
        return None if found is None else found[0]

    def _shows(self, name: str, image: AnnotatedImage) -> bool:
        """Whether a file of the dataset was made of the bytes that were annotated."""
        path = os.fsencode(self._out / name)
        if os.path.islink(path):  # to an original
            is_seen = image.ref.is_seen_in(os.stat(path))
            return is_seen or codec.digest(codec.read_bytes(path)) == image.sha
        known = self._exports.files.at(name)
        present = self._replacing.present(name, known)
        # older versions noted no source
        sources = {file.source or image.sha for file in known if file.content == present}
        return image.sha in {present, *sources}
