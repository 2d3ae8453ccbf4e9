"""Average precision (AP) of boxes that are at hand, without a job."""

from collections.abc import Iterable
from dataclasses import dataclass

from florence_annotate.evaluation.averages import average
from florence_annotate.evaluation.boxes import Boxes
from florence_annotate.types import Box


@dataclass(frozen=True, slots=True)
class Scored:
    """A box on an image, true or found."""

    image: int
    """Id of the image."""
    category: str
    box: Box
    score: float
    """Of a found box, in [0, 1]; of a true one it does not matter."""


def average_precision(
    categories: Iterable[str],
    images: Iterable[int],
    true: Iterable[Scored],
    found: Iterable[Scored],
) -> tuple[float, float]:
    """AP50 and AP (the mean over IoU 0.50 to 0.95), each 0 to 1.

    `images` are the ids of all images, also of those without boxes. Boxes of other categories are
    left out, and so are categories without true boxes. Of a category, the 100 found boxes of an
    image with the highest scores count.
    """
    index_of = {name: index for index, name in enumerate(categories)}
    place_of = {image: place for place, image in enumerate(images)}

    def columns(boxes: Iterable[Scored]) -> Boxes:
        known = (one for one in boxes if one.category in index_of)
        side = Boxes()
        for one in sorted(known, key=lambda one: place_of[one.image]):
            index = index_of[one.category]
            side.add(place_of[one.image], index, one.box, score=one.score)
        return side

    sizes = [(0, 0)] * len(place_of)  # boxes are compared in pixels, whatever the image's
    averaged = average(columns(true), columns(found), sizes, len(index_of), "bbox")
    return averaged.overall.ap50 or 0.0, averaged.overall.ap or 0.0
