"""What became of each box of an image, and of each true object on it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from florence_annotate.dataset.annotated_image import AnnotatedImage
from florence_annotate.evaluation.boxes import Boxes
from florence_annotate.evaluation.collecting import Collected
from florence_annotate.evaluation.looking import weights_of
from florence_annotate.evaluation.matching import Matches
from florence_annotate.types import Box


class TrueObject(NamedTuple):
    box: Box
    label: str
    """Its class as the dataset calls it; where it has no such class, as the ground truth does."""
    found: int
    """1 found, 0 missed, -1 nobody is asked for it: a crowd, or a class that is not evaluated."""


class Verdict(NamedTuple):
    """About an image."""

    right: list[int]
    """Of each of its instances: 1 right, 0 wrong, -1 nobody can tell."""
    true: list[TrueObject]
    weight: float
    """How bad it is; see `looking.weights_of`."""


class Verdicts:
    """About each image that the ground truth has, too."""

    def __init__(self, found: Collected, matches: Matches, names: Sequence[str]) -> None:
        """`names` are those of the classes that are evaluated, by index."""
        self._found, self._matches = found, matches
        self._names = names
        self._other_names = tuple(found.other_labels)
        self._weights = weights_of(found, matches)
        self._numbers = {key: number for number, key in enumerate(found.keys)}

    def of(self, image: AnnotatedImage) -> Verdict | None:
        """None where the ground truth does not have the image."""
        number = self._numbers.get(image.ref.key)
        if number is None:
            return None
        right = [-1] * len(image.instances)
        kept = self._found.kept
        for at in _on(kept, number):
            place = self._found.places[at]
            # it may have been annotated again since it was judged
            if place < len(right) and image.instances[place].box[:2] == kept.box(at)[:2]:
                right[place] = int(self._matches.right[at])
        true, others = self._found.true, self._found.others
        objects = [
            TrueObject(true.box(at), self._names[true.class_index[at]], int(self._matches.seen[at]))
            for at in _on(true, number)
        ]
        objects += [
            TrueObject(others.box(at), self._other_names[others.class_index[at]], -1)
            for at in _on(others, number)
        ]
        return Verdict(right, objects, float(self._weights[number]))


def _on(boxes: Boxes, image: int) -> range:
    """The places of the boxes on an image."""
    return range(*np.searchsorted(np.asarray(boxes.image), (image, image + 1)).tolist())
