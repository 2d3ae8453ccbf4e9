"""An answer's tokens and the picture's size → instances in pixels. Pure; no tokenizer, no torch.

A location token `<loc_b>` is one of 1000 bins along an edge of the picture. Bin b of a picture
W pixels wide stands for x = (b + 0.5) · W / 1000, its centre (quantizer of the original
checkpoints' processor), so a coordinate is off by at most half a bin.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from florence_annotate import tasks
from florence_annotate.geometry.locations import to_pixels
from florence_annotate.types import Answer, Box, Dropped, Instance, Polygon, Reason, TokenKind


def read_text(answer: Answer) -> tuple[str, float]:
    """The text of an answer and its score; location and control tokens are no part of it."""
    pieces, logprobs = [], []
    for start, end, kind, logprob in zip(
        (0, *answer.ends), answer.ends, answer.kinds, answer.logprobs, strict=False
    ):
        if kind is TokenKind.TEXT:
            pieces.append(answer.data[start:end])
            logprobs.append(logprob)
    text = b"".join(pieces).decode("utf-8", errors="replace").strip()
    return text, _geometric_mean(logprobs) if logprobs else 0.0


def read(answer: Answer, width: int, height: int) -> tuple[list[Instance], list[Dropped]]:
    """Instances of an answer of phrases with locations, and what could not be read.

    Nothing is filtered by content: boxes may be reversed, empty or repeated. Dropped are only
    bins that make no box (`torn-box`), polygons of under three points (`torn-polygon`),
    quadrilaterals of under four (`torn-quad`) and phrases without a location (`no-box`).
    """
    reader = _Reader(answer.question.task, tasks.of(answer.question).gives, width, height)
    for phrase in _phrases(answer):
        reader.read(phrase)
    return reader.instances, reader.dropped


_Run = list[tuple[int, float]]
"""Location tokens in a row, as (bin, log-probability)."""


@dataclass(slots=True)
class _Phrase:
    """A phrase as written, and the location tokens after it."""

    label: bytes = b""
    label_logprobs: list[float] = field(default_factory=list)
    objects: list[list[_Run]] = field(default_factory=list)
    """Split at `<poly>` and `</poly>` into objects, at `<sep>` into an object's parts."""
    are_polygons: bool = False


def _phrases(answer: Answer) -> Iterator[_Phrase]:
    phrase = _Phrase()
    begin_object, begin_run = True, True
    start = 0
    for end, kind, logprob in zip(answer.ends, answer.kinds, answer.logprobs, strict=True):
        token = answer.data[start:end]
        start = end
        if kind is TokenKind.TEXT:
            if phrase.objects:
                yield phrase
                phrase = _Phrase()
            phrase.label += token
            phrase.label_logprobs.append(logprob)
            begin_object = True
        elif kind is TokenKind.LOCATION:
            if begin_object:
                phrase.objects.append([[]])
            elif begin_run:
                phrase.objects[-1].append([])
            begin_object, begin_run = False, False
            phrase.objects[-1][-1].append((int(token[len(b"<loc_") : -1]), logprob))
        elif token in (b"<poly>", b"</poly>", b"<sep>"):
            phrase.are_polygons = True
            begin_run = True
            begin_object = begin_object or token != b"<sep>"
    if phrase.label or phrase.objects:
        yield phrase


@dataclass(slots=True)
class _Reader:
    task: str
    gives: tasks.Gives
    width: int
    height: int
    instances: list[Instance] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)

    def read(self, phrase: _Phrase) -> None:
        label = phrase.label.decode("utf-8", errors="replace").strip()
        if not phrase.objects and label:
            score = _geometric_mean(phrase.label_logprobs)
            detail = "the phrase has no location"
            self.dropped.append(Dropped(label, score, None, Reason.NO_BOX, detail))
        elif self.gives is tasks.Gives.QUADS:
            tokens = [token for parts in phrase.objects for run in parts for token in run]
            self._read_quads(label, phrase.label_logprobs, tokens)
        elif phrase.are_polygons or self.gives is tasks.Gives.POLYGONS:
            for parts in phrase.objects:
                self._read_polygons(label, phrase.label_logprobs, parts)
        else:
            tokens = [token for parts in phrase.objects for run in parts for token in run]
            self._read_boxes(label, phrase.label_logprobs, tokens)

    def _read_boxes(self, label: str, label_logprobs: list[float], tokens: _Run) -> None:
        for start in range(0, len(tokens), 4):
            bins = [bin_index for bin_index, _ in tokens[start : start + 4]]
            logprobs = [logprob for _, logprob in tokens[start : start + 4]]
            score = _geometric_mean(label_logprobs + logprobs)
            if len(bins) < 4:
                detail = f"{len(bins)} of 4 location tokens"
                self.dropped.append(Dropped(label, score, None, Reason.TORN_BOX, detail))
                continue
            (x1, y1), (x2, y2) = self._points(bins)
            self.instances.append(Instance(label, score, (x1, y1, x2, y2), self.task))

    def _read_quads(self, text: str, text_logprobs: list[float], tokens: _Run) -> None:
        for start in range(0, len(tokens), 8):
            bins = [bin_index for bin_index, _ in tokens[start : start + 8]]
            score = _geometric_mean(text_logprobs + [p for _, p in tokens[start : start + 8]])
            if len(bins) < 8:
                detail = f"{len(bins)} of 8 location tokens"
                self.dropped.append(Dropped(text, score, None, Reason.TORN_QUAD, detail))
                continue
            quad = self._points(bins)
            box = _box_around([quad])
            self.instances.append(Instance("", score, box, self.task, quad=quad, text=text))

    def _read_polygons(self, label: str, label_logprobs: list[float], parts: list[_Run]) -> None:
        score = _geometric_mean(label_logprobs + [logprob for run in parts for _, logprob in run])
        polygons: list[Polygon] = []
        for run in parts:
            points = self._points([bin_index for bin_index, _ in run])
            if len(points) >= 3:
                polygons.append(points)
            else:
                detail = f"{len(points)} of at least 3 points"
                self.dropped.append(Dropped(label, score, None, Reason.TORN_POLYGON, detail))
        if polygons:
            box = _box_around(polygons)
            self.instances.append(Instance(label, score, box, self.task, tuple(polygons)))

    def _points(self, bins: list[int]) -> Polygon:
        """Bins in x, y pairs → points in pixels; an odd last bin has no partner and makes none."""
        pairs = zip(bins[0::2], bins[1::2], strict=False)
        return tuple((to_pixels(x, self.width), to_pixels(y, self.height)) for x, y in pairs)


def _box_around(polygons: Sequence[Polygon]) -> Box:
    xs = [x for polygon in polygons for x, _ in polygon]
    ys = [y for polygon in polygons for _, y in polygon]
    return min(xs), min(ys), max(xs), max(ys)


def _geometric_mean(logprobs: list[float]) -> float:
    return math.exp(sum(logprobs) / len(logprobs))
