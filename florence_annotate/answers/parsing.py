"""An answer's tokens and the image's size → instances in pixels. Pure; no tokenizer, no torch.

A location token `<loc_b>` is one of 1000 bins along an edge of the image. Bin b of an image
W pixels wide stands for x = (b + 0.5) · W / 1000, its centre (quantizer of the original
checkpoints' processor), so a coordinate is off by at most half a bin.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from florence_annotate import tasks
from florence_annotate.answers import scores
from florence_annotate.geometry.locations import box_to_pixels, to_pixels
from florence_annotate.reasons import Reason
from florence_annotate.types import (
    SPREAD_RANGES,
    Answer,
    Box,
    Dropped,
    Evidence,
    Instance,
    Polygon,
    TokenKind,
)

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
    return text, scores.geometric_mean(logprobs) if logprobs else 0.0


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
    spreads: bytes
    """Of each bin; empty where they were not kept."""

    def part(self, start: int, end: int) -> "_Run":
        """Those from one index to before another, as far as there are so many."""
        count = len(SPREAD_RANGES)
        spreads = self.spreads[start * count : end * count]
        return _Run(self.bins[start:end], self.logprobs[start:end], spreads)


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
        logprobs = tuple(logprob for run in runs for logprob in run.logprobs)
        return _Run(bins, logprobs, b"".join(run.spreads for run in runs))


def _runs(answer: Answer) -> Iterator[tuple[int, int, int, bytes]]:
    """(kind, index of the first token, index after the last, what they say) of tokens in a row."""
    data, ends = answer.data, answer.ends
    for run in _RUNS.finditer(kinds := bytes(answer.kinds)):
        first, after = run.span()
        yield kinds[first], first, after, data[ends[first - 1] if first else 0 : ends[after - 1]]


def _phrases(answer: Answer) -> Iterator[_Phrase]:
    phrase = _Phrase()
    begin_object, begin_run = True, True
    spreads_left = answer.spreads
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
            length = len(SPREAD_RANGES) * len(bins)
            run = _Run(bins, answer.logprobs[first:after], spreads_left[:length])
            spreads_left = spreads_left[length:]
            if begin_object:
                phrase.objects.append([run])
            elif begin_run:
                phrase.objects[-1].append(run)
            else:  # only a control token that means nothing here stands between them
                last = phrase.objects[-1][-1]
                phrase.objects[-1][-1] = _Run(
                    last.bins + bins, last.logprobs + run.logprobs, last.spreads + run.spreads
                )
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
            detail = "the phrase has no location"
            self._drop(label, phrase.label_logprobs, Reason.NO_BOX, detail)
        elif self.gives is tasks.Gives.QUADS:
            self._add_quads(label, phrase.label_logprobs, phrase.locations())
        elif phrase.are_polygons or self.gives is tasks.Gives.POLYGONS:
            for parts in phrase.objects:
                self._add_polygons(label, phrase.label_logprobs, parts)
        else:
            self._add_boxes(label, phrase.label_logprobs, phrase.locations())

    def _add_boxes(self, label: str, label_logprobs: tuple[float, ...], said: _Run) -> None:
        width, height, task, count = self.width, self.height, self.task, len(SPREAD_RANGES)
        for start in range(0, len(said.bins), 4):  # most answers: as few calls as may be
            bins, logprobs = tuple(said.bins[start : start + 4]), said.logprobs[start : start + 4]
            if len(bins) < 4:
                detail = f"{len(bins)} of 4 location tokens"
                self._drop(label, label_logprobs + logprobs, Reason.TORN_BOX, detail)
                continue
            box = box_to_pixels(bins, width, height)
            spreads = said.spreads[start * count : (start + 4) * count]
            evidence = Evidence(label_logprobs, logprobs, bins, spreads)
            score = scores.score(evidence)
            self.instances.append(Instance(label, score, box, task, evidence=evidence))

    def _add_quads(self, text: str, text_logprobs: tuple[float, ...], said: _Run) -> None:
        for start in range(0, len(said.bins), 8):
            one = said.part(start, start + 8)
            if len(one.bins) < 8:
                detail = f"{len(one.bins)} of 8 location tokens"
                self._drop(text, text_logprobs + one.logprobs, Reason.TORN_QUAD, detail)
                continue
            quad = self._points(one.bins)
            evidence = _evidence_of_points(text_logprobs, one.logprobs, [one])
            self._add("", _box_around([quad]), evidence, quad=quad, text=text)

    def _add_polygons(
        self, label: str, label_logprobs: tuple[float, ...], parts: list[_Run]
    ) -> None:
        logprobs = tuple(logprob for run in parts for logprob in run.logprobs)
        polygons: list[Polygon] = []
        whole: list[_Run] = []
        for run in parts:
            points = self._points(run.bins)
            if len(points) >= 3:
                polygons.append(points)
                whole.append(run)
            else:
                detail = f"{len(points)} of at least 3 points"
                self._drop(label, label_logprobs + logprobs, Reason.TORN_POLYGON, detail)
        if polygons:
            evidence = _evidence_of_points(label_logprobs, logprobs, whole)
            self._add(label, _box_around(polygons), evidence, polygons=tuple(polygons))

    def _add(self, label: str, box: Box, evidence: Evidence, **more: Any) -> None:
        """Add an instance, whose score follows from its evidence."""
        score = scores.score(evidence)
        self.instances.append(Instance(label, score, box, self.task, evidence=evidence, **more))

    def _drop(self, label: str, logprobs: Sequence[float], reason: Reason, detail: str) -> None:
        """What has no box has no probability to be right; its tokens have a mean."""
        score = scores.geometric_mean(logprobs)
        self.dropped.append(Dropped(label, score, None, reason, detail))

    def _points(self, bins: list[int]) -> Polygon:
        """Bins in x, y pairs → points in pixels; an odd last bin has no partner and makes none."""
        width, height = self.width, self.height
        pairs = zip(bins[0::2], bins[1::2], strict=False)
        return tuple([(to_pixels(x, width), to_pixels(y, height)) for x, y in pairs])


def _box_around(polygons: Sequence[Polygon]) -> Box:
    xs = [x for polygon in polygons for x, _ in polygon]
    ys = [y for polygon in polygons for _, y in polygon]
    return min(xs), min(ys), max(xs), max(ys)


def _evidence_of_points(
    label_logprobs: tuple[float, ...], location_logprobs: tuple[float, ...], runs: Sequence[_Run]
) -> Evidence:
    """Of an instance of points, in runs of x, y pairs: what is said of its outermost ones."""
    along: tuple[list[tuple[int, bytes]], ...] = ([], [])
    for run in runs:
        for index in range(len(run.bins) // 2 * 2):
            along[index % 2].append((run.bins[index], run.part(index, index + 1).spreads))
    outermost = [find(points) for find in (min, max) for points in along]
    edges = tuple(bin_index for bin_index, _ in outermost)
    spreads = b"".join(spread for _, spread in outermost)
    return Evidence(label_logprobs, location_logprobs, edges, spreads)
