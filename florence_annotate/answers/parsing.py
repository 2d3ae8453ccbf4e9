"""An answer's tokens and the image's size → instances in pixels. Pure; no tokenizer, no torch.

A location token `<loc_b>` is one of 1000 bins along an edge of the image. Bin b of an image
W pixels wide stands for x = (b + 0.5) · W / 1000, its centre (quantizer of the original
checkpoints' processor), so a coordinate is off by at most half a bin.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from florence_annotate import tasks
from florence_annotate.geometry.locations import to_pixels
from florence_annotate.reasons import Reason
from florence_annotate.types import Answer, Box, Dropped, Instance, Polygon, TokenKind

_RUNS = re.compile(rb"\x00+|\x01+|\x02")
"""Tokens of one kind in a row; of control tokens each alone."""
_SEPARATOR = tasks.PHRASE_SEPARATOR.encode()


def parse_text(answer: Answer) -> tuple[str, float]:
    """The text of an answer and its score; location and control tokens are no part of it, and
    phrases that a control token separates have a comma between them.

    The score is the geometric mean of the probabilities of its tokens; 0 where there is none.
    """
    parts = [b""]
    logprobs: list[float] = []
    for kind, first, after, said in _runs(answer):
        if kind == TokenKind.TEXT:
            parts[-1] += said
            logprobs += answer.logprobs[first:after]
        elif said == _SEPARATOR:
            parts.append(b"")
    texts = [part.decode("utf-8", errors="replace").strip() for part in parts]
    text = ", ".join(filter(None, texts))
    return text, _geometric_mean(logprobs) if logprobs else 0.0


def parse(answer: Answer, width: int, height: int) -> tuple[list[Instance], list[Dropped]]:
    """Instances of an answer of phrases with locations, and what could not be read.

    `width` and `height` are those of what was asked about, the image or a tile, in pixels; so are
    the boxes and points. Nothing is filtered by content: boxes may be reversed, empty or repeated.
    Dropped are only bins that make no box (`torn-box`), polygons of under three points
    (`torn-polygon`), quadrilaterals of under four (`torn-quad`) and phrases without a location
    (`no-box`).
    """
    parser = _Parser(answer.question.task, tasks.of(answer.question).gives, width, height)
    for phrase in _phrases(answer):
        parser.add(phrase)
    return parser.instances, parser.dropped


@dataclass(slots=True)
class _Run:
    """Location tokens in a row."""

    bins: list[int]
    logprobs: tuple[float, ...]


@dataclass(slots=True)
class _Phrase:
    """A phrase as written, and the location tokens after it."""

    label: bytes = b""
    label_logprobs: tuple[float, ...] = ()
    objects: list[list[_Run]] = field(default_factory=list)
    """Split at `<poly>` and `</poly>` into objects, at `<sep>` into an object's parts."""
    are_polygons: bool = False

    def locations(self) -> _Run:
        """All of its location tokens."""
        if len(self.objects) == 1 and len(self.objects[0]) == 1:
            return self.objects[0][0]
        runs = [run for parts in self.objects for run in parts]
        bins = [bin_index for run in runs for bin_index in run.bins]
        return _Run(bins, tuple(logprob for run in runs for logprob in run.logprobs))


def _runs(answer: Answer) -> Iterator[tuple[int, int, int, bytes]]:
    """(kind, index of the first token, index after the last, what they say) of tokens in a row."""
    data, ends = answer.data, answer.ends
    for run in _RUNS.finditer(kinds := bytes(answer.kinds)):
        first, after = run.span()
        yield kinds[first], first, after, data[ends[first - 1] if first else 0 : ends[after - 1]]


def _phrases(answer: Answer) -> Iterator[_Phrase]:
    phrase = _Phrase()
    begin_object, begin_run = True, True
    for kind, first, after, said in _runs(answer):
        if kind == TokenKind.TEXT:
            if phrase.objects:
                yield phrase
                phrase = _Phrase()
            phrase.label += said
            phrase.label_logprobs += answer.logprobs[first:after]
            begin_object = True
        elif kind == TokenKind.LOCATION:
            bins = list(map(int, said[len(b"<loc_") : -1].split(b"><loc_")))
            run = _Run(bins, answer.logprobs[first:after])
            if begin_object:
                phrase.objects.append([run])
            elif begin_run:
                phrase.objects[-1].append(run)
            else:  # only a control token that means nothing here stands between them
                last = phrase.objects[-1][-1]
                phrase.objects[-1][-1] = _Run(last.bins + bins, last.logprobs + run.logprobs)
            begin_object, begin_run = False, False
        elif said == _SEPARATOR:
            if phrase.label or phrase.objects:
                yield phrase
            phrase, begin_object = _Phrase(), True
        elif said in (b"<poly>", b"</poly>", b"<sep>"):
            phrase.are_polygons = True
            begin_run = True
            begin_object = begin_object or said != b"<sep>"
    if phrase.label or phrase.objects:
        yield phrase


@dataclass(slots=True)
class _Parser:
    """Phrases → instances in pixels."""

    task: str
    gives: tasks.Gives
    width: int
    height: int
    instances: list[Instance] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)

    def add(self, phrase: _Phrase) -> None:
        label = phrase.label.decode("utf-8", errors="replace").strip()
        if not phrase.objects and label:
            score = _geometric_mean(phrase.label_logprobs)
            detail = "the phrase has no location"
            self.dropped.append(Dropped(label, score, None, Reason.NO_BOX, detail))
        elif self.gives is tasks.Gives.QUADS:
            self._add_quads(label, phrase.label_logprobs, phrase.locations())
        elif phrase.are_polygons or self.gives is tasks.Gives.POLYGONS:
            for parts in phrase.objects:
                self._add_polygons(label, phrase.label_logprobs, parts)
        else:
            self._add_boxes(label, phrase.label_logprobs, phrase.locations())

    def _add_boxes(self, label: str, label_logprobs: tuple[float, ...], said: _Run) -> None:
        width, height = self.width, self.height
        for start in range(0, len(said.bins), 4):
            bins = said.bins[start : start + 4]
            score = _geometric_mean(label_logprobs + said.logprobs[start : start + 4])
            if len(bins) < 4:
                detail = f"{len(bins)} of 4 location tokens"
                self.dropped.append(Dropped(label, score, None, Reason.TORN_BOX, detail))
                continue
            x1, y1 = to_pixels(bins[0], width), to_pixels(bins[1], height)
            x2, y2 = to_pixels(bins[2], width), to_pixels(bins[3], height)
            self.instances.append(Instance(label, score, (x1, y1, x2, y2), self.task))

    def _add_quads(self, text: str, text_logprobs: tuple[float, ...], said: _Run) -> None:
        for start in range(0, len(said.bins), 8):
            bins = said.bins[start : start + 8]
            score = _geometric_mean(text_logprobs + said.logprobs[start : start + 8])
            if len(bins) < 8:
                detail = f"{len(bins)} of 8 location tokens"
                self.dropped.append(Dropped(text, score, None, Reason.TORN_QUAD, detail))
                continue
            quad = self._points(bins)
            box = _box_around([quad])
            self.instances.append(Instance("", score, box, self.task, quad=quad, text=text))

    def _add_polygons(
        self, label: str, label_logprobs: tuple[float, ...], parts: list[_Run]
    ) -> None:
        logprobs = [logprob for run in parts for logprob in run.logprobs]
        score = _geometric_mean([*label_logprobs, *logprobs])
        polygons: list[Polygon] = []
        for run in parts:
            points = self._points(run.bins)
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
        width, height = self.width, self.height
        pairs = zip(bins[0::2], bins[1::2], strict=False)
        return tuple([(to_pixels(x, width), to_pixels(y, height)) for x, y in pairs])


def _box_around(polygons: Sequence[Polygon]) -> Box:
    xs = [x for polygon in polygons for x, _ in polygon]
    ys = [y for polygon in polygons for _, y in polygon]
    return min(xs), min(ys), max(xs), max(ys)


def _geometric_mean(logprobs: Sequence[float]) -> float:
    return math.exp(sum(logprobs) / len(logprobs))
