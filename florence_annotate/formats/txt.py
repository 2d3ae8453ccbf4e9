"""Captions for trainers: `images/<split>/<name>.txt` beside each image.

So kohya's sd-scripts find them with `caption_extension=".txt"`, and others that read a text of the
image's name. `DreamBoothDataset` of sd-scripts (library/train_util.py) takes the first line, and
refuses a file without any: so a caption is one line here, however many the model wrote, and an
empty caption an empty line. An image with several captions has the longest.
"""

from florence_annotate.dataset.dataset import Dataset
from florence_annotate.formats.entries import Entry, Export
from florence_annotate.formats.replacing import TEXT_SUFFIX


class TextWriter:
    """A file an image."""

    def __init__(self, export: Export) -> None:
        self._staging = export.staging

    def begin(self, dataset: Dataset) -> None:
        pass

    def add(self, entry: Entry) -> None:
        path = f"images/{entry.split}/{entry.stem}{TEXT_SUFFIX}"
        self._staging.write_text(path, " ".join(entry.image.text.split()) + "\n")

    def finish(self) -> None:
        pass
