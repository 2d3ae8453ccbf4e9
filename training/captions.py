"""Captions of a scene in three lengths; each names every object, from left to right.

Every word is part of what the checkpoint was trained on, and must stay as it is.
"""

from collections.abc import Sequence

from florence_annotate.tasks import LOCATION_BINS
from training.truth import Target

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")
_PLACES = (
    ("top left", "top", "top right"),
    ("left", "centre", "right"),
    ("bottom left", "bottom", "bottom right"),
)
_LARGE = 0.03
"""From this part of the image's area on, an object is called large."""


def caption(targets: Sequence[Target]) -> str:
    """Such as `a red star, a blue cross and a white ellipse`."""
    return listing([t.phrase for t in _in_order(targets)]) or "an empty picture"


def detailed_caption(targets: Sequence[Target]) -> str:
    """One sentence with the number of objects and the place of each."""
    if not targets:
        return f"{_opening(targets)}."
    objects = [f"{t.phrase} at the {_place(t)}" for t in _in_order(targets)]
    return f"{_opening(targets)}: {listing(objects)}."


def more_detailed_caption(targets: Sequence[Target]) -> str:
    """A paragraph: one sentence for each object, with its size and place."""
    sentences = [
        f"A {_size(target)} {target.phrase} is at the {_place(target)}."
        for target in _in_order(targets)
    ]
    return " ".join([f"{_opening(targets)}.", *sentences])


def listing(phrases: Sequence[str]) -> str:
    """Phrases with their articles, as a sentence lists them; an empty text for none."""
    named = [f"an {p}" if p[0] in "aeiou" else f"a {p}" for p in phrases]
    return " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)


def _in_order(targets: Sequence[Target]) -> list[Target]:
    return sorted(targets, key=lambda target: target.bins)


def _opening(targets: Sequence[Target]) -> str:
    plural = "" if len(targets) == 1 else "s"
    return f"The image shows {_NUMBERS[len(targets)]} object{plural}"


def _place(target: Target) -> str:
    x1, y1, x2, y2 = target.bins
    column, row = (3 * (low + high) // (2 * LOCATION_BINS) for low, high in ((x1, x2), (y1, y2)))
    return _PLACES[row][column]


def _size(target: Target) -> str:
    x1, y1, x2, y2 = target.bins
    return "large" if (x2 - x1) * (y2 - y1) >= _LARGE * LOCATION_BINS**2 else "small"
