"""One annotated image as others take it."""

from pathlib import Path

import pytest

import florence_annotate


def test_detections_carry_class_ids_names_and_scores(dataset: Path) -> None:
    for image in florence_annotate.open_dataset(dataset):
        detections = image.to_supervision()
        assert len(detections) == len(image.instances)
        for place, instance in enumerate(image.instances):
            assert detections.xyxy[place] == pytest.approx(instance.box, abs=1e-3)
            assert detections.confidence[place] == pytest.approx(instance.score)
            assert detections.data["class_name"][place] == instance.label
