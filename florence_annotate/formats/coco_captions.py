"""COCO captions: `annotations/captions_<split>.json`.

Format: https://cocodataset.org/#format-data, "Image Captioning". Beyond it, a caption carries its
`score` and the `task` that gave it.
"""

from florence_annotate.dataset.dataset import Dataset
from florence_annotate.formats.coco import Documents
from florence_annotate.formats.entries import Entry, Export, dump_json
from florence_annotate.tasks import field_of


class CocoCaptionsWriter:
    """The captions, without categories."""

    def __init__(self, export: Export) -> None:
        self._documents = Documents(export, "captions")

    def begin(self, dataset: Dataset) -> None:
        self._documents.begin(dataset.split_names, class_names=None)

    def add(self, entry: Entry) -> None:
        rows = [
            {
                "caption": caption.text,
                "score": round(caption.score, 4),
                "task": field_of(caption.task),
            }
            for caption in entry.image.captions
        ]
        self._documents.add(entry, [dump_json(row)[1:-1] for row in rows])

    def finish(self) -> None:
        self._documents.finish()
