"""The files of a job's images: the one that the page shows, and the one that its thumbnail is made
of."""

import os
from pathlib import Path
from urllib.parse import quote

from florence_annotate.dataset.annotated_image import AnnotatedImage
from florence_annotate.formats.entries import Notes
from florence_annotate.formats.originals import Originals
from florence_annotate.formats.replacing import Replacing
from florence_annotate.journal import Assigned, Journal


class Pictures:
    def __init__(self, journal: Journal, out: Path, page: Path) -> None:
        self.assigned = journal.exports.assignments.by_rising_key()
        """What an image has kept from exports; keys are asked for in their order."""
        self._originals = Originals([Replacing(out, journal)], Notes(), are_needed=True)
        self._out = out
        self._way = os.path.relpath(out, page.parent)

    def address(self, assigned: Assigned | None) -> str | None:
        """Of the image as the dataset has it, relative to the page; None where it has none."""
        if assigned is None:
            return None
        name = f"images/{assigned.split}/{assigned.name}"
        if not os.path.isfile(self._out / name):
            return None
        return quote(os.fsencode(os.path.normpath(os.path.join(self._way, name))))

    def original(self, image: AnnotatedImage) -> str | None:
        """A file with the image as it was annotated; None where there is none any more."""
        found = self._originals.find(image)
        return None if found is None else found[0]
