"""COCO captions: `annotations/captions_<split>.json`.

Format: https://cocodataset.org/#format-data, "Image Captioning". Beyond it, a caption carries its
`score` and the `task` that gave it.
"""

from collections.abc import Iterator
from typing import Any

from florence_annotate.formats import coco
from florence_annotate.formats.entries import Entry, Export
from florence_annotate.tasks import find


def write(export: Export) -> None:
    coco.write_document(export, "captions", _rows, class_names=None)


def _rows(entry: Entry) -> Iterator[dict[str, Any]]:
    for caption in entry.image.captions:
        score = round(caption.score, 4)
        yield {"caption": caption.text, "score": score, "task": find(caption.task).name}
