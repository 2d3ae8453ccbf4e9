"""JSON Lines: `annotations.jsonl`, all that the dataset knows of an image in one line."""

from typing import Any

from florence_annotate.dataset.dataset import Dataset
from florence_annotate.formats.entries import Entry, Export, dump_json
from florence_annotate.formats.staging import StagedFile
from florence_annotate.tasks import by_token, field_of
from florence_annotate.types import Dropped, KeptInstance, Polygon


class JsonLinesWriter:
    """One file."""

    _file: StagedFile

    def __init__(self, export: Export) -> None:
        self._staging = export.staging

    def begin(self, dataset: Dataset) -> None:
        self._file = self._staging.open("annotations.jsonl")

    def add(self, entry: Entry) -> None:
        self._file.write_text(dump_json(_row(entry)) + "\n")

    def finish(self) -> None:
        pass


def _row(entry: Entry) -> dict[str, Any]:
    image = entry.image
    return {
        "key": image.ref.key,
        "file_name": entry.name,
        "split": entry.split,
        "width": image.width,
        "height": image.height,
        "sha256": image.sha,
        "truncated": image.truncated,
        "instances": [_instance(one, image.class_names) for one in image.instances],
        "captions": [
            {"task": field_of(c.task), "text": c.text, "score": round(c.score, 4)}
            for c in image.captions
        ],
        "dropped": [_dropped(one) for one in image.dropped],
    }


def _instance(instance: KeptInstance, class_names: tuple[str, ...]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "class": class_names[instance.class_id],
        "class_id": instance.class_id,
        "label": instance.label,
        "score": round(instance.score, 4),
        "box": [round(edge, 4) for edge in instance.box],
        "task": by_token(instance.task).name,
    }
    if instance.polygons:
        row["polygons"] = [_flat(polygon) for polygon in instance.polygons]
    if instance.quad:
        row["quad"] = _flat(instance.quad)
    if instance.text is not None:
        row["text"] = instance.text
    return row


def _dropped(dropped: Dropped) -> dict[str, Any]:
    return {
        "label": dropped.label,
        "score": round(dropped.score, 4),
        "box": dropped.box and [round(edge, 4) for edge in dropped.box],
        "reason": dropped.reason,
        "detail": dropped.detail,
    }


def _flat(polygon: Polygon) -> list[float]:
    return [round(value, 4) for point in polygon for value in point]
