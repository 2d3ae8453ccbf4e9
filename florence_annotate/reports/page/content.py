"""What the page's script is given of each image: short rows, in which names are numbers.

k     its key
w, h  its size in pixels, upright; 0 where it failed
x, t  addresses of its file in the dataset, and of its thumbnail
s     the number of its split
u, o  1 where an answer was cut off; where the dataset leaves it out
f     why it failed
c     its texts
q     how bad it is, or may be
b     its boxes, those that are kept first: x1, y1, x2, y2 in pixels (null: it never had a box), its
      class, score, number of the reason for dropping it (-1: it is kept), whether it is right (1 or
      0; -1: nobody can tell), and where there are any, its outlines and its text
g     the true ones, where the ground truth has the image: x1, y1, x2, y2, class, whether it was
      found (as right)

What an image does not have is missing. A class is its number among those of the head, or -1 - n for
its label n of no class.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from florence_annotate.dataset.annotated_image import AnnotatedImage
from florence_annotate.evaluation.verdicts import Verdict, Verdicts
from florence_annotate.geometry.polygons import simplified
from florence_annotate.reasons import Reason
from florence_annotate.reports.measuring import Outcome
from florence_annotate.types import Box, Dropped, Failure, Instance, KeptInstance

_VERSION = 1
_REASONS = {reason: number for number, reason in enumerate(Reason)}
_UNKNOWN = -1
"""For whether a box is right, and for the reason of one that is kept."""
_FINE = 500
"""Parts of an image's longer side; outlines are drawn to about one."""

Row = dict[str, Any]


class Content:
    """Images → rows, and the head that says what their numbers mean."""

    def __init__(
        self,
        class_names: Sequence[str],
        splits: Sequence[str],
        is_chosen: Callable[[AnnotatedImage], bool],
        verdicts: Verdicts | None,
    ) -> None:
        """`class_names` stand first among the classes; `is_chosen` says what a dataset takes."""
        self.numbers_of_classes = {name: number for number, name in enumerate(class_names)}
        self._labels: dict[str, int] = {}
        self._splits = {name: number for number, name in enumerate(splits)}
        self._is_chosen = is_chosen
        self._verdicts = verdicts
        self._has_estimates: bool | None = None
        self.images = 0

    def head(self, dataset: str, chunks: Sequence[str]) -> Row:
        """After the last image."""
        return {
            "version": _VERSION,
            "dataset": dataset,
            "images": self.images,
            "chunks": list(chunks),
            "classes": list(self.numbers_of_classes),
            "labels": list(self._labels),
            "reasons": [{"name": reason, "text": reason.sentence} for reason in Reason],
            "splits": list(self._splits),
            "truth": self._verdicts is not None,
            "scored_by": "mean" if self._has_estimates is False else "probability",
        }

    def row(self, outcome: Outcome, split: str | None) -> Row:
        """An image, without where its files are."""
        self.images += 1
        row: Row = {"k": outcome.ref.key}
        if split in self._splits:  # an export may have begun since
            row["s"] = self._splits[split]
        if isinstance(outcome, Failure):
            why = f"{outcome.stage}: {' '.join(outcome.message.split())}"
            return row | {"w": 0, "h": 0, "f": why, "q": 1, "b": []}
        return row | self._annotated(outcome)

    def _annotated(self, image: AnnotatedImage) -> Row:
        verdict = None if self._verdicts is None else self._verdicts.of(image)
        row: Row = {"w": image.width, "h": image.height}
        if image.truncated:
            row["u"] = 1
        if not image.was_asked or not self._is_chosen(image):
            row["o"] = 1
        if image.captions:
            row["c"] = [caption.text for caption in image.captions]
        row["q"] = round(verdict.weight if verdict else _expected_weight(image), 3)
        dropped = (self._dropped(image, one) for one in image.dropped)
        row["b"] = [*self._kept(image, verdict), *dropped]
        if verdict:
            row["g"] = [
                [*_edges(one.box), self._number(one.label), one.found] for one in verdict.true
            ]
        return row

    def _kept(self, image: AnnotatedImage, verdict: Verdict | None) -> Iterator[list[Any]]:
        for place, one in enumerate(image.instances):
            self._note_score(one)
            what = self._class_number(image.class_names[one.class_id])
            right = verdict.right[place] if verdict else _UNKNOWN
            row: list[Any] = [*_edges(one.box), what, round(one.score, 3), _UNKNOWN, right]
            outlines = _outlines(one, max(image.width, image.height) / _FINE)
            if outlines or one.text is not None:
                row.append(outlines or None)
            if one.text is not None:
                row.append(one.text)
            yield row

    def _dropped(self, image: AnnotatedImage, one: Dropped) -> list[Any]:
        self._note_score(one.instance)
        if isinstance(one.instance, KeptInstance):  # it got as far as its class
            what = self._class_number(image.class_names[one.instance.class_id])
        else:
            what = self._label_number(one.label)
        edges = _edges(one.box) if one.box else [None] * 4
        return [*edges, what, round(one.score, 3), _REASONS[one.reason], _UNKNOWN]

    def _class_number(self, name: str) -> int:
        return self.numbers_of_classes.setdefault(name, len(self.numbers_of_classes))

    def _number(self, name: str) -> int:
        """Of a class, if the dataset has it; else of a label."""
        number = self.numbers_of_classes.get(name)
        return self._label_number(name) if number is None else number

    def _label_number(self, label: str) -> int:
        return -1 - self._labels.setdefault(label, len(self._labels))

    def _note_score(self, instance: Instance | None) -> None:
        if self._has_estimates is None and instance is not None and instance.evidence:
            self._has_estimates = bool(instance.evidence.spreads)


def _expected_weight(image: AnnotatedImage) -> float:
    """How bad an image may be, without a ground truth: what `looking.weights_of` counts is expected
    from the scores, as if they were probabilities; a cut answer lacks an object."""
    missed = sum(one.score for one in image.dropped if one.reason is Reason.MIN_SCORE)
    wrong = sum(one.score * (1 - one.score) for one in image.instances)
    return missed + wrong + image.truncated


def _edges(box: Box) -> list[float]:
    return [round(edge, 1) for edge in box]


def _outlines(instance: Instance, tolerance: float) -> list[list[int]]:
    """The outlines of an instance in whole pixels."""
    polygons = instance.polygons or ((instance.quad,) if instance.quad else ())
    return [
        [round(value) for point in simplified(polygon, max(0.5, tolerance)) for value in point]
        for polygon in polygons
    ]
