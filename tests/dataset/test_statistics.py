"""Counts over a dataset."""

import random
from dataclasses import replace
from itertools import combinations

from florence_annotate.dataset.annotated_image import AnnotatedImage
from florence_annotate.dataset.statistics import Statistics
from florence_annotate.geometry.boxes import iou
from florence_annotate.reasons import Reason
from florence_annotate.tasks import CAPTION, OD
from florence_annotate.types import Caption, Dropped, ImageRef, KeptInstance


def image(key: str, *labels: str, truncated: bool = False) -> AnnotatedImage:
    """One with these labels, of which `?` belongs to no class, and a caption."""
    names = ("car", "tree")
    kept = tuple(
        KeptInstance(label, 0.5, (0, 0, 9, 9), OD, class_id=names.index(label))
        for label in labels
        if label != "?"
    )
    dropped = tuple(Dropped("?", 0.5, None, Reason.NO_CLASS) for label in labels if label == "?")
    low = Dropped("car", 0.1, None, Reason.MIN_SCORE)
    captions = (Caption(CAPTION, "a street", 0.5),)
    ref = ImageRef(key, b"", 0, 0)
    return AnnotatedImage(ref, "", 9, 9, kept, captions, (*dropped, low), truncated, names)


def test_every_image_is_counted() -> None:
    statistics = Statistics()
    statistics.add(image("1", "car", "?", "tree", "car"))
    statistics.add(image("2", "?", truncated=True))
    assert statistics.instances == {"car": 2, "tree": 1}
    assert statistics.dropped == {"no-class": 2, "min-score": 2}
    assert statistics.unmapped == {"?": 2}
    assert (statistics.captions, statistics.truncated) == ({"caption": 2}, ["2"])


def test_what_stricter_filters_would_find_is_counted() -> None:
    boxes = [(0, 0, 9, 8.2), (0, 0, 9, 8.1), (0, 0, 9, 8.2), (0, 0, 9, 7)]
    kept = tuple(
        KeptInstance("car", 0.5, box, OD, class_id=class_id)
        for box, class_id in zip(boxes, (0, 0, 1, 1), strict=True)
    )
    statistics = Statistics()
    statistics.add(replace(image("1"), instances=kept))
    assert statistics.large == 2  # of 81 square pixels, over 72.9; the second box has just that
    assert statistics.pairs_across_classes == 2


def test_pairs_of_a_crowd_are_those_that_comparing_all_boxes_finds() -> None:
    chance = random.Random(0)
    crowd = []
    for _ in range(200):
        left, top = chance.uniform(0, 50), chance.uniform(0, 50)
        box = (left, top, left + chance.uniform(90, 100), top + chance.uniform(90, 100))
        crowd.append(KeptInstance("car", 0.5, box, OD, class_id=chance.randrange(2)))
    pairs = [
        (one, other)
        for one, other in combinations(crowd, 2)
        if one.class_id != other.class_id and iou(one.box, other.box) > 0.9
    ]
    statistics = Statistics()
    statistics.add(replace(image("1"), instances=tuple(crowd)))
    assert statistics.pairs_across_classes == len(pairs) > 10
