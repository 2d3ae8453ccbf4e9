"""How good a model is on scenes that it was never trained on: a quick measure during training.

Boxes are in location bins. The figures that the README states are measured through the whole
program (`make bars`).
"""

import math
import random
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from florence_annotate.errors import UsageError
from florence_annotate.evaluation.average_precision import Scored, average_precision
from florence_annotate.geometry.locations import to_pixels
from florence_annotate.shapes import FIRST_HELD_OUT_SEED, SHAPES
from florence_annotate.shapes.scenes import paint
from florence_annotate.tasks import LOCATION_BINS
from florence_annotate.types import Box
from training.asking import Checkpoint, encode_images, greedy
from training.corpus import squash
from training.exchanges import PHRASES, Exchange, detection, open_vocabulary
from training.lessons import LESSONS
from training.tokenizer import first_location_id
from training.truth import Bins, Truth, truth_of

_IMAGES_AT_ONCE = 64
_QUESTIONS_AT_ONCE = 250

_TOLERANCE = LOCATION_BINS // 40
"""How far a location of a right answer may be off, in bins."""


def validate(
    checkpoint: Checkpoint, first_seed: int, count: int, *, phrases: bool = False
) -> dict[str, float]:
    """How good the answers about `count` scenes are, with seeds from `first_seed` on.

    Gives `od_ap50`, `od_ap` and `od_found` (boxes found, as a part of the true ones) of detection;
    with `phrases` the same as `ovd_…`, each scene asked for each colour and shape; and for each
    task the part of its answers that are right. Raises UsageError for seeds of training scenes.
    """
    if first_seed < FIRST_HELD_OUT_SEED:
        raise UsageError(f"seed {first_seed} is for training; use {FIRST_HELD_OUT_SEED} or more")
    scenes = [paint(seed) for seed in range(first_seed, first_seed + count)]
    truths = [truth_of(scene) for scene in scenes]
    pixels = torch.from_numpy(np.stack([squash(scene.image) for scene in scenes]))
    features = torch.cat(
        [
            encode_images(checkpoint, pixels[start : start + _IMAGES_AT_ONCE])
            for start in range(0, count, _IMAGES_AT_ONCE)
        ]
    )
    asked = [(index, detection(truth).prompt) for index, truth in enumerate(truths)]
    result = _figures("od", SHAPES, truths, _found(checkpoint, features, asked))
    if phrases:
        asked = [(i, open_vocabulary(p, t).prompt) for p in PHRASES for i, t in enumerate(truths)]
        result |= _figures("ovd", PHRASES, truths, _found(checkpoint, features, asked))
    return result | _right_parts(checkpoint, features, truths, random.Random(first_seed))


def _right_parts(
    checkpoint: Checkpoint, features: Tensor, truths: Sequence[Truth], rng: random.Random
) -> dict[str, float]:
    """For each task the part of its answers that are right; none where no scene fits a task."""
    result: dict[str, float] = {}
    for task, lesson in LESSONS.items():
        fitting = [i for i, t in enumerate(truths) if t.objects or not lesson.needs_object]
        if lesson.is_reading:
            fitting = [i for i in fitting if truths[i].words]
        if not fitting:
            continue
        exchanges = [lesson.ask(rng, truths[index]) for index in fitting]
        answers = greedy(checkpoint, features[fitting], [each.prompt for each in exchanges])
        right = [
            _is_right(checkpoint, each, tokens)
            for each, (tokens, _) in zip(exchanges, answers, strict=True)
        ]
        result[task] = sum(right) / len(right)
    return result


def _is_right(checkpoint: Checkpoint, exchange: Exchange, tokens: Sequence[int]) -> bool:
    """Whether the text is the right one and each location is near enough."""
    true = checkpoint.tokenizer.encode(exchange.answer).ids[1:]
    first = first_location_id(checkpoint.tokenizer)

    def is_close(a: int, b: int) -> bool:
        are_locations = all(first <= token < first + LOCATION_BINS for token in (a, b))
        return a == b or (are_locations and abs(a - b) <= _TOLERANCE)

    return len(true) == len(tokens) and all(map(is_close, true, tokens))


def _figures(
    name: str, categories: Sequence[str], truths: Sequence[Truth], found: Sequence[Scored]
) -> dict[str, float]:
    true = [
        Scored(
            index,
            target.phrase if target.phrase in categories else target.shape,
            _centres(target.bins),
            1.0,
        )
        for index, truth in enumerate(truths)
        for target in truth.objects
    ]
    ap50, ap = average_precision(categories, range(len(truths)), true, found)
    return {f"{name}_ap50": ap50, f"{name}_ap": ap, f"{name}_found": len(found) / len(true)}


def _found(
    checkpoint: Checkpoint, features: Tensor, asked: Sequence[tuple[int, str]]
) -> list[Scored]:
    """The boxes in the answers to some prompts, each about the image with the number before it."""
    found: list[Scored] = []
    for start in range(0, len(asked), _QUESTIONS_AT_ONCE):
        some = asked[start : start + _QUESTIONS_AT_ONCE]
        images = [index for index, _ in some]
        answers = greedy(checkpoint, features[images], [prompt for _, prompt in some])
        for index, (tokens, logs) in zip(images, answers, strict=True):
            found += _read(checkpoint, index, tokens, logs)
    return found


def _read(
    checkpoint: Checkpoint, index: int, tokens: Sequence[int], logs: Sequence[float]
) -> list[Scored]:
    """Boxes of one answer; the score is the geometric mean of the label's and the box's tokens."""
    first = first_location_id(checkpoint.tokenizer)
    found: list[Scored] = []
    label: list[int] = []
    place: list[int] = []
    for position, token in enumerate(tokens):
        if not first <= token < first + LOCATION_BINS:
            label = [] if place else label
            place = []
            label.append(position)
            continue
        place.append(position)
        if len(place) % 4 == 0 and label:
            used = label + place[-4:]
            score = math.exp(sum(logs[p] for p in used) / len(used))
            box = _centres(tuple(tokens[p] - first for p in place[-4:]))
            text = checkpoint.tokenizer.decode([tokens[p] for p in label])
            if box[0] <= box[2] and box[1] <= box[3]:
                found.append(Scored(index, text, box, score))
    return found


def _centres(bins: Bins) -> Box:
    """A box between the centres of its bins, on an image as many pixels wide as there are bins."""
    left, top, right, bottom = (to_pixels(edge, LOCATION_BINS) for edge in bins)
    return left, top, right, bottom
