"""What changed between two states of one image: its instances, matched by class and place."""

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from florence_annotate.dataset.annotated_image import AnnotatedImage
from florence_annotate.geometry.boxes import iou
from florence_annotate.types import Box

SAME_PLACE = 0.5
"""Intersection over union from which on two boxes are of one thing."""
_SAME_EDGE = 0.01
"""Pixels within which edges are equal."""
_SAME_SCORE = 0.001
"""Scores may differ by as much where nothing changed but the batches."""


class Kind(StrEnum):
    """Each instance that changed did so in one way: the first that fits."""

    ADDED = "added"
    REMOVED = "removed"
    RELABELLED = "relabelled"
    """Another class in the same place."""
    MOVED = "moved"
    """Of the same class, by so little that it is the same thing."""
    RESCORED = "rescored"


class Thing(NamedTuple):
    """An instance, as far as it is compared."""

    class_name: str
    box: Box
    score: float


class Change(NamedTuple):
    kind: Kind
    class_name: str
    """Of what was there before, and of what was added."""
    becomes: str | None = None
    """The class of what was relabelled."""


def things_of(image: AnnotatedImage) -> list[Thing]:
    names = image.class_names
    return [Thing(names[one.class_id], one.box, one.score) for one in image.instances]


def changes(before: Sequence[Thing], after: Sequence[Thing]) -> list[Change]:
    """What became of the instances of an image.

    Those of one class are matched first, the largest overlap before others, then those of
    different classes; what is left was removed or added.
    """
    if before == after:
        return []
    left, right = list(before), list(after)
    found = []
    for one, other in _take_equal(left, right):
        found += _of_pair(one, other)
    for one, other in _take_pairs(left, right, lambda a, b: a.class_name == b.class_name):
        found += _of_pair(one, other)
    for one, other in _take_pairs(left, right, lambda a, b: True):
        found.append(Change(Kind.RELABELLED, one.class_name, other.class_name))
    found += [Change(Kind.REMOVED, one.class_name) for one in left]
    found += [Change(Kind.ADDED, one.class_name) for one in right]
    return found


def _take_equal(left: list[Thing], right: list[Thing]) -> Iterable[tuple[Thing, Thing]]:
    """Take out those of one class with equal boxes, in their order: nearly all, of most images."""
    waiting: dict[tuple[str, Box], list[Thing]] = {}
    for other in right:
        waiting.setdefault((other.class_name, other.box), []).append(other)
    pairs, alone = [], []
    for one in left:
        if same := waiting.get((one.class_name, one.box)):
            pairs.append((one, same.pop(0)))
        else:
            alone.append(one)
    left[:] = alone
    right[:] = [other for same in waiting.values() for other in same]
    return pairs


def _take_pairs(
    left: list[Thing], right: list[Thing], may_be: Callable[[Thing, Thing], bool]
) -> Iterable[tuple[Thing, Thing]]:
    """Take out pairs in the same place, the largest overlap first."""
    near = [
        (-overlap, place, other_place)
        for place, one in enumerate(left)
        for other_place, other in enumerate(right)
        if may_be(one, other) and (overlap := iou(one.box, other.box)) >= SAME_PLACE
    ]
    taken: set[int] = set()
    other_taken: set[int] = set()
    pairs = []
    for _, place, other_place in sorted(near):
        if place not in taken and other_place not in other_taken:
            taken.add(place)
            other_taken.add(other_place)
            pairs.append((left[place], right[other_place]))
    left[:] = [one for place, one in enumerate(left) if place not in taken]
    right[:] = [other for place, other in enumerate(right) if place not in other_taken]
    return pairs


def _of_pair(one: Thing, other: Thing) -> list[Change]:
    if any(abs(a - b) > _SAME_EDGE for a, b in zip(one.box, other.box, strict=True)):
        return [Change(Kind.MOVED, one.class_name)]
    if abs(one.score - other.score) > _SAME_SCORE:
        return [Change(Kind.RESCORED, one.class_name)]
    return []
