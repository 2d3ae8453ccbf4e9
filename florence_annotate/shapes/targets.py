"""What the model is asked about a scene, and what the right answer is, as text.

Prompts are the sentences that Florence-2's processor puts in the place of a task token. Answers
name each label once, followed by the boxes of all its objects, four location tokens a box, from
left to right; labels come in the order of :data:`~florence_annotate.shapes.SHAPES` for ``<OD>``
and in the order of the prompt for phrases. A phrase without an object is left out, so the answer
to a question about something that isn't there is empty.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from . import COLOURS, SHAPES

LOCATION_BINS = 1000

DETECTION_PROMPT = "Locate the objects with category name in the image."
OPEN_VOCABULARY_PROMPT = "Locate {} in the image."
GROUNDING_PROMPT = "Locate the phrases in the caption: {}"
PHRASE_SEPARATOR = "<and>"

# Prompts of the tasks that this checkpoint isn't trained on yet; the tokenizer knows them already.
OTHER_PROMPTS: tuple[str, ...] = (
    "Locate the objects in the image, with their descriptions.",
    "Locate the region proposals in the image.",
    "What does the image describe?",
    "Describe in detail what is shown in the image.",
    "Describe with a paragraph what is shown in the image.",
    "What is the text in the image?",
    "What is the text in the image, with regions?",
    "Locate {} in the image with mask",
    "What is the polygon mask of region {}",
    "What is the region {}?",
    "What does the region {} describe?",
    "What text is in the region {}?",
)

Bins = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Target:
    """An object as the answers name it; the box as ``(x1, y1, x2, y2)`` location bins."""

    shape: str
    colour: str
    bins: Bins

    def matches(self, phrase: str) -> bool:
        """Whether a phrase (``star``, ``red star``) describes this object."""
        return phrase in (self.shape, f"{self.colour} {self.shape}")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One question with its answer."""

    prompt: str
    answer: str


def to_bin(coordinate: float, extent: float) -> int:
    """The location bin of a pixel coordinate in a picture that is ``extent`` pixels long."""
    return min(LOCATION_BINS - 1, max(0, int(coordinate * LOCATION_BINS / extent)))


def answer(phrases: Iterable[str], targets: Sequence[Target]) -> str:
    """The answer that names each phrase that has objects, with all its boxes."""
    parts = []
    for phrase in phrases:
        boxes = sorted(t.bins for t in targets if t.matches(phrase))
        if boxes:
            parts.append(phrase + "".join(f"<loc_{b}>" for box in boxes for b in box))
    return "".join(parts)


def detection(targets: Sequence[Target]) -> Exchange:
    """The ``<OD>`` question: every object under its shape."""
    return Exchange(DETECTION_PROMPT, answer(SHAPES, targets))


def open_vocabulary(phrase: str, targets: Sequence[Target]) -> Exchange:
    """The ``<OPEN_VOCABULARY_DETECTION>`` question for one phrase."""
    return Exchange(OPEN_VOCABULARY_PROMPT.format(phrase), answer([phrase], targets))


def grounding(phrases: Sequence[str], targets: Sequence[Target]) -> Exchange:
    """The ``<CAPTION_TO_PHRASE_GROUNDING>`` question for several phrases."""
    return Exchange(
        GROUNDING_PROMPT.format(PHRASE_SEPARATOR.join(phrases)), answer(phrases, targets)
    )


def questions(
    rng: random.Random, targets: Sequence[Target], *, phrases: int = 2, groundings: int = 1
) -> list[Exchange]:
    """The questions of one training step about one picture.

    Args:
        rng: Source of the choices.
        targets: The objects of the picture.
        phrases: Number of open-vocabulary questions; over half have the empty answer.
        groundings: Number of grounding questions.
    """
    exchanges = [detection(targets)]
    for _ in range(phrases):
        exchanges.append(open_vocabulary(_phrase(rng, targets, present=0.4), targets))
    for _ in range(groundings):
        wanted = rng.randint(1, 6)
        chosen: dict[str, None] = {}
        for _ in range(wanted):
            chosen[_phrase(rng, targets, present=0.55)] = None
        exchanges.append(grounding(list(chosen), targets))
    return exchanges


def _phrase(rng: random.Random, targets: Sequence[Target], present: float) -> str:
    """A phrase that describes an object with the given probability, and mostly nearly does else.

    The wrong ones that teach are those with the right colour or the right shape.
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
