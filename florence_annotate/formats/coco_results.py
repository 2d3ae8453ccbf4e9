"""COCO results: `annotations/results_<split>.json`, what pycocotools' `loadRes` takes.

Format: https://cocodataset.org/#format-results. Ids of images and categories are those of
`instances_<split>.json`.
"""

from typing import Any

from florence_annotate.dataset.dataset import Dataset
from florence_annotate.formats.entries import Entry, Export, dump_json
from florence_annotate.formats.staging import StagedFile
from florence_annotate.geometry.polygons import encode_mask


class CocoResultsWriter:
    """A list of results a split."""

    def __init__(self, export: Export) -> None:
        self._staging = export.staging
        self._files: dict[str, StagedFile] = {}
        self._begun: set[str] = set()
        """Splits with a result."""

    def begin(self, dataset: Dataset) -> None:
        for split in dataset.split_names:
            self._files[split] = self._staging.open(f"annotations/results_{split}.json")
            self._files[split].write_text("[")

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
            self._files[split].write_text(
                (",\n" if split in self._begun else "\n") + dump_json(result)
            )
            self._begun.add(split)

    def finish(self) -> None:
        for file in self._files.values():
            file.write_text("\n]\n")
