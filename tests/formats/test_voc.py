"""Pascal VOC, loaded by supervision."""

from pathlib import Path

import pytest
import supervision as sv
from read_back import annotated_images, assert_same, objects_of, with_class_ids

import florence_annotate


@pytest.mark.parametrize("split", ["train", "val"])
def test_voc_is_read_by_supervision_with_the_same_pixels(exported: Path, split: str) -> None:
    images, names = annotated_images(exported), florence_annotate.open_dataset(exported).class_names
    read = sv.DetectionDataset.from_pascal_voc(
        str(exported / "images" / split), str(exported / "voc" / split)
    )
    assert len(read) == len(list((exported / "voc" / split).glob("*.xml"))) > 0
    for path, _, detections in read:
        found = sorted(with_class_ids(detections, read.classes, names))
        wanted = [
            (i, tuple(map(float, map(round, box))))
            for i, box in objects_of(images[Path(path).name])
        ]
        assert_same(found, sorted(wanted), 0)
