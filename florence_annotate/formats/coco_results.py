"""COCO results: `annotations/results_<split>.json`, what pycocotools' `loadRes` takes.

Format: https://cocodataset.org/#format-results. Ids of images and categories are those of
`instances_<split>.json`. A split without a result has no file: `loadRes` fails on an empty list.
"""

from typing import Any

from florence_annotate.dataset.dataset import Dataset
from florence_annotate.formats.entries import Entry, Export, dump_json
from florence_annotate.formats.staging import StagedFile
from florence_annotate.geometry.polygons import encode_mask


class CocoResultsWriter:
    """A list of results a split."""

    def __init__(self, export: Export) -> None:
        self._staging, self._notes = export.staging, export.notes
        self._files: dict[str, StagedFile] = {}
        """Of splits with a result."""

    def begin(self, dataset: Dataset) -> None:
        self._splits = dataset.split_names

    def add(self, entry: Entry) -> None:
        split = entry.split
        size = entry.image.width, entry.image.height
        for instance, box, score in zip(
            entry.image.instances, entry.box_rows, entry.scores, strict=True
        ):
            result: dict[str, Any] = {
                "image_id": entry.number,
                "category_id": instance.class_id + 1,
                "bbox": box,
                "score": score,
            }
            if instance.polygons:
                # results have run lengths where the dataset has polygons
                result["segmentation"] = encode_mask(instance.polygons, *size)
            separator = "," if split in self._files else ""
            self._file(split).write_text(f"{separator}\n{dump_json(result)}")

    def finish(self) -> None:
        for split in self._splits:
            if split in self._files:
                self._files[split].write_text("\n]\n")
            else:
                self._notes.without_results.append(split)

    def _file(self, split: str) -> StagedFile:
        if split not in self._files:
            self._files[split] = self._staging.open(f"annotations/results_{split}.json")
            self._files[split].write_text("[")
        return self._files[split]
