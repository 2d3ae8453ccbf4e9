"""A folder of images for the hub: `images/<split>/metadata.jsonl` beside the images.

Format: https://huggingface.co/docs/datasets/image_dataset#imagefolder; it is read by
`datasets.load_dataset("imagefolder", data_dir="OUT/images")`. Objects are columns of equal length;
boxes are x, y, width, height in float pixels. Outlines are left to the other formats. Where several
tasks give a caption, each also has a column of its own, by the name of its task. `text` is the one
caption that trainers want, the longest: the column that diffusers' scripts read
(`--caption_column` of examples/text_to_image). It is there where the job asked for captions.

The reader infers each split's types from its first lines. So no value is ever null, and numbers are
always written as fractions; but a split in which nothing at all was found has columns without a
type, which the reader refuses beside others: load it alone, or take parquet.
"""

from typing import Any

from florence_annotate.dataset.dataset import Dataset
from florence_annotate.formats.entries import Entry, Export, dump_json
from florence_annotate.formats.replacing import METADATA_NAME
from florence_annotate.formats.staging import StagedFile


class ImageFolderWriter:
    """A file a split, of those that have an image: one without a line would be refused."""

    def __init__(self, export: Export) -> None:
        self._staging, self._fields = export.staging, export.caption_fields
        self._files: dict[str, StagedFile] = {}

    def begin(self, dataset: Dataset) -> None:
        self._has_captions = dataset.has_captions

    def add(self, entry: Entry) -> None:
        file = self._files.get(entry.split)
        if file is None:
            file = self._staging.open(f"images/{entry.split}/{METADATA_NAME}")
            self._files[entry.split] = file
        row = _row(entry) | entry.texts_of(self._fields)
        if self._has_captions:
            row["text"] = entry.image.text
        file.write_text(dump_json(row) + "\n")

    def finish(self) -> None:
        pass


def _row(entry: Entry) -> dict[str, Any]:
    image = entry.image
    return {
        "file_name": entry.name,
        "width": image.width,
        "height": image.height,
        "objects": {
            "bbox": [list(map(float, row)) for row in entry.box_rows],
            "category": [one.class_id for one in image.instances],
            "label": [image.class_names[one.class_id] for one in image.instances],
            "score": list(map(float, entry.scores)),
            "text": [one.text or "" for one in image.instances],
        },
        "captions": [caption.text for caption in image.captions],
    }
