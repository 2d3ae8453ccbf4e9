"""Which questions a training step asks about a scene, drawn at random."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from florence_annotate.shapes import COLOURS, SHAPES
from florence_annotate.tasks import LOCATION_BINS
from training import exchanges
from training.captions import caption, detailed_caption, listing, more_detailed_caption
from training.exchanges import Exchange
from training.truth import Bins, Target, Truth

_JITTER = 8.0
"""Standard deviation of a region's edges, in bins: the boxes that users ask about are not exact."""


def first_questions(rng: random.Random, truth: Truth, maturity: float) -> list[Exchange]:
    """Detection, and later some grounding: to tell phrases apart, a model must first find objects.

    `maturity` is that of `learning.Run`.
    """
    asked = [exchanges.detection(truth)]
    if maturity > 0.12 and rng.random() < 0.2:
        asked.append(_grounded_phrases(rng, truth))
    return asked


def questions(rng: random.Random, truth: Truth, *, is_legible: bool) -> list[Exchange]:
    """Some questions of any task, each as often as its rate says.

    `is_legible` is False for a mirrored image, where the words can't be read.
    """
    asked = []
    for lesson in LESSONS.values():
        rate = lesson.rate
        if lesson.is_reading:
            rate *= 0.0 if not is_legible else 1.0 if truth.words else 0.3
        elif lesson.needs_object and not truth.objects:
            rate = 0.0
        if rng.random() < rate:
            asked.append(lesson.ask(rng, truth))
    return asked or [exchanges.detection(truth)]


def _open_vocabulary(rng: random.Random, truth: Truth) -> Exchange:
    return exchanges.open_vocabulary(_phrase(rng, truth.objects, present=0.4), truth)


def _segmentation(rng: random.Random, truth: Truth) -> Exchange:
    """Half of the questions are about all objects of a shape, as a class asks."""
    if truth.objects and rng.random() < 0.5:
        return exchanges.segmentation(rng.choice(truth.objects).shape, truth)
    return exchanges.segmentation(_phrase(rng, truth.objects, present=0.6), truth)


def _grounding(rng: random.Random, truth: Truth) -> Exchange:
    return rng.choice((_grounded_phrases, _grounded_caption))(rng, truth)


def _grounded_phrases(rng: random.Random, truth: Truth) -> Exchange:
    phrases = _phrases(rng, truth, present=0.55)
    return exchanges.grounding("<and>".join(phrases), phrases, truth)


def _grounded_caption(rng: random.Random, truth: Truth) -> Exchange:
    """Half of the captions are true, the others name also what isn't there."""
    if rng.random() < 0.5:
        ordered = sorted(truth.objects, key=lambda target: target.bins)
        phrases = list(dict.fromkeys(target.phrase for target in ordered))
        write = rng.choice((caption, caption, detailed_caption, more_detailed_caption))
        return exchanges.grounding(write(truth.objects), phrases, truth)
    phrases = _phrases(rng, truth, present=0.7)
    return exchanges.grounding(listing(phrases), phrases, truth)


def _region_to_segmentation(rng: random.Random, truth: Truth) -> Exchange:
    target = rng.choice(truth.objects)
    return exchanges.region_to_segmentation(_jittered(rng, target.bins), target)


def _region_to_category(rng: random.Random, truth: Truth) -> Exchange:
    target = rng.choice(truth.objects)
    return exchanges.region_to_category(_jittered(rng, target.bins), target)


def _region_to_description(rng: random.Random, truth: Truth) -> Exchange:
    target = rng.choice(truth.objects)
    return exchanges.region_to_description(_jittered(rng, target.bins), target)


def _region_to_ocr(rng: random.Random, truth: Truth) -> Exchange:
    if truth.words and (not truth.objects or rng.random() < 0.85):
        word = rng.choice(truth.words)
        return exchanges.region_to_ocr(_jittered(rng, word.bins), word)
    place = rng.choice(truth.objects).bins if truth.objects else (400, 400, 600, 600)
    return exchanges.region_to_ocr(_jittered(rng, place), None)


@dataclass(frozen=True, slots=True)
class Lesson:
    """How often a task is asked, and how."""

    rate: float
    """Expected number of questions about one image."""
    ask: Callable[[random.Random, Truth], Exchange]
    needs_object: bool = False
    """There is nothing to ask where a scene has no object."""
    is_reading: bool = False
    """It is about printed words."""


def _about(answer: Callable[[Truth], Exchange]) -> Callable[[random.Random, Truth], Exchange]:
    """How to ask a task that leaves nothing to choose."""
    return lambda rng, truth: answer(truth)


def _caption(task: str, write: Callable[[Sequence[Target]], str]) -> Lesson:
    rate = {"caption": 0.15, "detailed-caption": 0.12, "more-detailed-caption": 0.08}[task]
    return Lesson(rate, lambda rng, truth: exchanges.captioning(task, write(truth.objects)))


LESSONS: dict[str, Lesson] = {
    "detection": Lesson(0.6, _about(exchanges.detection)),
    "dense-captions": Lesson(0.3, _about(exchanges.dense_captions)),
    "region-proposals": Lesson(0.15, _about(exchanges.region_proposals)),
    "open-vocabulary": Lesson(0.6, _open_vocabulary),
    "grounding": Lesson(0.45, _grounding),
    "caption": _caption("caption", caption),
    "detailed-caption": _caption("detailed-caption", detailed_caption),
    "more-detailed-caption": _caption("more-detailed-caption", more_detailed_caption),
    "ocr": Lesson(0.3, _about(exchanges.ocr), is_reading=True),
    "ocr-regions": Lesson(0.35, _about(exchanges.ocr_regions), is_reading=True),
    "segmentation": Lesson(0.6, _segmentation),
    "region-to-segmentation": Lesson(0.6, _region_to_segmentation, needs_object=True),
    "region-to-category": Lesson(0.2, _region_to_category, needs_object=True),
    "region-to-description": Lesson(0.2, _region_to_description, needs_object=True),
    "region-to-ocr": Lesson(0.35, _region_to_ocr, is_reading=True),
}
"""How each task is asked, by its name."""


def _jittered(rng: random.Random, bins: Bins) -> Bins:
    """A box with each edge moved a little, at random."""
    x1, y1, x2, y2 = (
        min(LOCATION_BINS - 1, max(0, round(v + rng.gauss(0, _JITTER)))) for v in bins
    )
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def _phrases(rng: random.Random, truth: Truth, present: float) -> list[str]:
    """One to six different phrases."""
    drawn = [_phrase(rng, truth.objects, present) for _ in range(rng.randint(1, 6))]
    return list(dict.fromkeys(drawn))


def _phrase(rng: random.Random, targets: Sequence[Target], present: float) -> str:
    """A phrase that with probability `present` describes an object, and else one that is not there.

    Most of those that are not there have the colour or the shape of an object that is: they teach
    more.
    """
    if targets and rng.random() < present:
        target = rng.choice(targets)
        return target.shape if rng.random() < 0.2 else f"{target.colour} {target.shape}"
    kind = rng.random()
    if kind < 0.15:
        absent = [s for s in SHAPES if not any(t.shape == s for t in targets)]
        if absent:
            return rng.choice(absent)
    there = {(t.colour, t.shape) for t in targets}
    colours, shapes = [c for c, _ in there], [s for _, s in there]
    for _ in range(8):
        colour, shape = rng.choice(COLOURS), rng.choice(SHAPES)
        if targets and kind < 0.45:
            colour = rng.choice(sorted(colours))
        elif targets and kind < 0.75:
            shape = rng.choice(sorted(shapes))
        elif targets and kind < 0.9:
            colour, shape = rng.choice(sorted(colours)), rng.choice(sorted(shapes))
        if (colour, shape) not in there:
            return f"{colour} {shape}"
    return f"{colour} {shape}"
