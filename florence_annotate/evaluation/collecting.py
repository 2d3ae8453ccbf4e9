"""One pass over a dataset: its boxes, and the true ones, as columns."""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from hotcoco import mask as masks

from florence_annotate.dataset.annotated_image import AnnotatedImage
from florence_annotate.evaluation.boxes import Boxes, Mask
from florence_annotate.evaluation.classes_on_both_sides import ClassPairs
from florence_annotate.evaluation.truth import mask_of
from florence_annotate.formats.coco import segment
from florence_annotate.labels.given import GivenImage
from florence_annotate.reasons import Reason
from florence_annotate.types import Box, KeptInstance


@dataclass(slots=True)
class Strays:
    """Boxes with labels that count for no class of the ground truth."""

    labels: list[str] = field(default_factory=list)
    image: Any = field(default_factory=lambda: array("q"))
    boxes: list[Box | None] = field(default_factory=list)

    def add(self, image: int, label: str, box: Box | None) -> None:
        self.labels.append(label)
        self.image.append(image)
        self.boxes.append(box)


@dataclass(slots=True)
class Collected:
    """Both sides of the images that both have, numbered in the order of their keys."""

    keys: list[str]
    sizes: list[tuple[int, int]]
    true: Boxes
    kept: Boxes
    """As the dataset has them."""
    places: Any
    """Of each of these, its place among the instances of its image."""
    whole: Boxes
    """Whatever their scores; the same as `kept` where the policy has no least score."""
    strays: Strays = field(default_factory=Strays)
    others: Boxes = field(default_factory=Boxes)
    """True objects of classes that are not evaluated: their `class_index` is one of
    `other_labels`."""
    other_labels: dict[str, int] = field(default_factory=dict)
    crowds: int = 0
    without_true_mask: int = 0
    without_found_mask: int = 0
    outside: list[str] = field(default_factory=list)
    """Keys of images with a true box that reaches beyond them, a key for each box."""
    other_size: list[str] = field(default_factory=list)
    """Keys of images that the ground truth gives another size."""


_EDGE = 1.0
"""Pixels that a box may reach beyond its image without a word: rounding, counting from 1."""


def collect(
    images: Iterable[tuple[AnnotatedImage, AnnotatedImage]],
    truth_of: dict[str, GivenImage],
    classes: ClassPairs,
    *,
    has_thresholds: bool,
    with_masks: bool,
) -> Collected:
    """Read each image once: as the dataset has it, and whatever the scores.

    Raises UsageError for a mask of the ground truth that does not fit its image.
    """
    kept = Boxes(with_masks)
    whole = Boxes(with_masks) if has_thresholds else kept
    found = Collected([], [], Boxes(with_masks), kept, array("q"), whole)
    for image, unlimited in images:
        true = truth_of.get(image.ref.key)
        if true is None or not image.was_asked:
            continue
        number = len(found.keys)
        found.keys.append(image.ref.key)
        found.sizes.append((image.width, image.height))
        _add_true(found, number, true, classes)
        found.without_found_mask += _add_found(kept, number, image, classes, found.places)
        if has_thresholds:
            _add_found(whole, number, unlimited, classes)
        for instance in image.instances:
            if instance.class_id not in classes.of_dataset:
                name = image.class_names[instance.class_id]
                found.strays.add(number, name, instance.box)
        for dropped in image.dropped:
            if dropped.reason is Reason.NO_CLASS:
                found.strays.add(number, dropped.label, dropped.box)
    return found


def _add_true(found: Collected, number: int, true: GivenImage, classes: ClassPairs) -> None:
    key, size = found.keys[number], found.sizes[number]
    if true.size not in (None, size):
        found.other_size.append(key)
    for one in true.objects:
        label = one.region.label or ""
        index = classes.of_truth.get(label)
        box = one.region.pixels(*size)
        if index is None:
            other = found.other_labels.setdefault(label, len(found.other_labels))
            found.others.add(number, other, box)
            continue
        if min(box[:2]) < -_EDGE or box[2] > size[0] + _EDGE or box[3] > size[1] + _EDGE:
            found.outside.append(key)
        mask = mask_of(one, size, key) if found.true.has_masks else None
        if found.true.has_masks and mask is None:
            found.without_true_mask += 1
            continue
        area = one.area
        if area is None and mask is not None:
            area = float(masks.area(mask))
        found.crowds += one.is_crowd
        found.true.add(number, index, box, area=area, is_crowd=one.is_crowd, mask=mask)


def _add_found(
    boxes: Boxes, number: int, image: AnnotatedImage, classes: ClassPairs, places: Any = None
) -> int:
    """Add the boxes of an image, and to `places` where they stand among its instances; returns how
    many have no mask where each needs one."""
    without = 0
    for place, instance in enumerate(image.instances):
        index = classes.of_dataset.get(instance.class_id)
        if index is None:
            continue
        mask = None
        if boxes.has_masks:
            mask = _mask(instance, (image.width, image.height))
            if mask is None:
                without += 1
                continue
        boxes.add(number, index, instance.box, score=instance.score, mask=mask)
        if places is not None:
            places.append(place)
    return without


def _mask(instance: KeptInstance, size: tuple[int, int]) -> Mask | None:
    """The mask that readers see in the exported COCO file."""
    said, _ = segment(instance, size)
    if not said:
        return None
    width, height = size
    encoded = masks.frPyObjects(said, height, width)
    return masks.merge(encoded) if isinstance(encoded, list) else encoded
