"""What the model can be asked about a scene, and what the right answer is, as text.

Answers with boxes name each label once, followed by the boxes of all its objects from left to
right. Labels come in the order of `shapes.SHAPES` and `shapes.COLOURS`, or in the order of the
prompt. What isn't there is left out, so the answer to a question about something absent is empty.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from florence_annotate import tasks
from florence_annotate.shapes import COLOURS, SHAPES
from florence_annotate.types import Question
from training.truth import Bins, PrintedWord, Target, Truth

PHRASES = tuple(f"{colour} {shape}" for shape in SHAPES for colour in COLOURS)
"""Every colour with every shape."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One question with its answer."""

    prompt: str
    answer: str


def _exchange(task: str, answer: str, text: str | None = None) -> Exchange:
    return Exchange(tasks.prompt(Question(tasks.find(task).token, text)), answer)


def detection(truth: Truth) -> Exchange:
    """Every object under its shape."""
    return _exchange("detection", _labelled(SHAPES, truth.objects))


def dense_captions(truth: Truth) -> Exchange:
    """Every object under its colour and shape."""
    return _exchange("dense-captions", _labelled(PHRASES, truth.objects))


def region_proposals(truth: Truth) -> Exchange:
    """The boxes of all objects from left to right."""
    boxes = sorted(target.bins for target in truth.objects)
    return _exchange("region-proposals", "".join(locations(box) for box in boxes))


def open_vocabulary(phrase: str, truth: Truth) -> Exchange:
    """The boxes of one phrase."""
    return _exchange("open-vocabulary", _labelled([phrase], truth.objects), phrase)


def grounding(text: str, phrases: Iterable[str], truth: Truth) -> Exchange:
    """The boxes of the phrases that a text holds."""
    return _exchange("grounding", _labelled(phrases, truth.objects), text)


def captioning(task: str, text: str) -> Exchange:
    """A task whose answer is a text about the image."""
    return _exchange(task, text)


def ocr(truth: Truth) -> Exchange:
    """The printed words."""
    return _exchange("ocr", " ".join(word.text for word in truth.words))


def ocr_regions(truth: Truth) -> Exchange:
    """The printed words with the four corners of each, clockwise from the upper left one."""
    answer = ""
    for word in truth.words:
        x1, y1, x2, y2 = word.bins
        answer += word.text + locations((x1, y1, x2, y1, x2, y2, x1, y2))
    return _exchange("ocr-regions", answer)


def segmentation(phrase: str, truth: Truth) -> Exchange:
    """The outlines of the objects of one phrase."""
    matching = (target for target in truth.objects if target.matches(phrase))
    return _exchange("segmentation", _outlined(matching), phrase)


def region_to_segmentation(region: Bins, target: Target) -> Exchange:
    """The outline of the object in a region."""
    return _exchange("region-to-segmentation", _outlined([target]), locations(region))


def region_to_category(region: Bins, target: Target) -> Exchange:
    """The shape of the object in a region."""
    return _exchange("region-to-category", target.shape, locations(region))


def region_to_description(region: Bins, target: Target) -> Exchange:
    """Colour and shape of the object in a region."""
    return _exchange("region-to-description", target.phrase, locations(region))


def region_to_ocr(region: Bins, word: PrintedWord | None) -> Exchange:
    """The word in a region; an empty answer where there is none."""
    return _exchange("region-to-ocr", word.text if word else "", locations(region))


def locations(bins: Bins) -> str:
    """The location tokens of some bins."""
    return "".join(f"<loc_{value}>" for value in bins)


def _labelled(phrases: Iterable[str], objects: Sequence[Target]) -> str:
    answer = ""
    for phrase in phrases:
        boxes = sorted(target.bins for target in objects if target.matches(phrase))
        if boxes:
            answer += phrase + "".join(locations(box) for box in boxes)
    return answer


def _outlined(objects: Iterable[Target]) -> str:
    outlines = [locations(t.polygon) for t in sorted(objects, key=lambda target: target.bins)]
    if len(outlines) == 1:
        return outlines[0]
    return "".join(f"<poly>{outline}</poly>" for outline in outlines)
