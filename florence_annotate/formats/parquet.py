"""Parquet: `parquet/<split>.parquet`, a table with the images in it, for `datasets` and pandas.

Formats: https://parquet.apache.org/docs/file-format/; the columns are what `datasets.Image` and
https://huggingface.co/docs/datasets/object_detection expect: the image as its bytes and its name,
objects as columns of equal length, boxes as x, y, width, height in float pixels. `category` is the
class id, whose names the file carries for `datasets`; `label` is the name itself, for everyone
else. `segmentation` holds an object's outlines as COCO's lists of coordinates. Where several tasks
give a caption, each also has a column of its own, by the name of its task.

Bytes, and not paths, since readers look for a relative path where they were started. So the file is
whole also with `--images none`. A row group is written as soon as it is full, so that memory holds
one.
"""

import json
from typing import Any

from florence_annotate.dataset.dataset import Dataset
from florence_annotate.formats.entries import Entry, Export
from florence_annotate.formats.placing import image_bytes
from florence_annotate.formats.staging import StagedFile
from florence_annotate.images import codec

_ROW_GROUP_BYTES = 32 * 2**20
_ROW_GROUP_ROWS = 1000


class ParquetWriter:
    """A table a split; one without images has no file: `datasets` refuses one without rows."""

    def __init__(self, export: Export) -> None:
        self._staging, self._notes = export.staging, export.notes
        self._fields = export.caption_fields
        self._tables: dict[str, _Table] = {}

    def begin(self, dataset: Dataset) -> None:
        self._class_names = dataset.class_names

    def add(self, entry: Entry) -> None:
        try:
            data = image_bytes(entry)
        except codec.UnreadableImageError as error:
            self._notes.left_out[entry.image.ref.key] = str(error)
            return
        table = self._tables.get(entry.split)
        if table is None:
            file = self._staging.open(f"parquet/{entry.split}.parquet")
            table = self._tables[entry.split] = _Table(file, self._class_names, self._fields)
        table.add(entry, data)

    def finish(self) -> None:
        for table in self._tables.values():
            table.finish()


class _Table:
    """One file, a row group at a time."""

    def __init__(
        self, file: StagedFile, class_names: tuple[str, ...], fields: tuple[str, ...]
    ) -> None:
        import pyarrow.parquet

        self._fields = fields
        self._schema = _schema(class_names, fields)
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0
        self._writer = pyarrow.parquet.ParquetWriter(file, self._schema)

    def add(self, entry: Entry, data: bytes) -> None:
        self._rows.append(_row(entry, data) | entry.texts_of(self._fields))
        self._bytes += len(data)
        if self._bytes >= _ROW_GROUP_BYTES or len(self._rows) >= _ROW_GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        import pyarrow

        if self._rows:
            self._writer.write_table(pyarrow.Table.from_pylist(self._rows, self._schema))
        self._rows, self._bytes = [], 0

    def finish(self) -> None:
        self._flush()
        self._writer.close()


def _row(entry: Entry, data: bytes) -> dict[str, Any]:
    image = entry.image
    return {
        "image": {"bytes": data, "path": entry.name},
        "width": image.width,
        "height": image.height,
        "objects": {
            "bbox": entry.box_rows,
            "category": [one.class_id for one in image.instances],
            "label": [image.class_names[one.class_id] for one in image.instances],
            "score": entry.scores,
            "segmentation": [
                [
                    [round(value, 4) for point in outline for value in point]
                    for outline in one.polygons or ((one.quad,) if one.quad else ())
                ]
                for one in image.instances
            ],
            "text": [one.text for one in image.instances],
        },
        "captions": [caption.text for caption in image.captions],
    }


def _schema(class_names: tuple[str, ...], fields: tuple[str, ...]) -> Any:
    """Arrow's types, and beside them those of `datasets`, which know images and class names."""
    import pyarrow as pa

    numbers = pa.list_(pa.float64())
    objects = [
        ("bbox", pa.list_(numbers)),
        ("category", pa.list_(pa.int64())),
        ("label", pa.list_(pa.string())),
        ("score", numbers),
        ("segmentation", pa.list_(pa.list_(numbers))),
        ("text", pa.list_(pa.string())),
    ]
    columns = [
        ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        ("width", pa.int64()),
        ("height", pa.int64()),
        ("objects", pa.struct(objects)),
        ("captions", pa.list_(pa.string())),
        *((name, pa.string()) for name in fields),
    ]
    number, word, integer = _value("float64"), _value("string"), _value("int64")
    category = {"names": list(class_names), "_type": "ClassLabel"} if class_names else integer
    features = {
        "image": {"_type": "Image"},
        "width": integer,
        "height": integer,
        "objects": {
            "bbox": _list(_list(number)),
            "category": _list(category),
            "label": _list(word),
            "score": _list(number),
            "segmentation": _list(_list(_list(number))),
            "text": _list(word),
        },
        "captions": _list(word),
        **dict.fromkeys(fields, word),
    }
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    return pa.schema(columns, metadata=metadata)


def _value(dtype: str) -> dict[str, Any]:
    return {"dtype": dtype, "_type": "Value"}


def _list(feature: dict[str, Any]) -> dict[str, Any]:
    """By the name that all versions of `datasets` know; from 4 on it is `List`."""
    return {"feature": feature, "_type": "Sequence"}
