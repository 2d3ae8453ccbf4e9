"""How good a model of the small world is, measured on scenes that it was never trained on.

This is the short way, for steering a training run: greedy answers, read strictly, and AP by
pycocotools. The figures that count are measured through the whole program with :mod:`.score`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from florence_annotate.errors import UsageError
from florence_annotate.evaluation.average_precision import Scored, average_precision
from florence_annotate.shapes import FIRST_HELD_OUT_SEED, SHAPES
from florence_annotate.shapes.scenes import paint
from florence_annotate.tasks import LOCATION_BINS
from training.corpus import squash
from training.exchanges import PHRASES, Exchange, detection, open_vocabulary
from training.lessons import LESSONS
from training.truth import Truth, truth_of

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class Parts:
    """A Florence-2 model with what it takes to ask it: all of transformers that is needed here."""

    model: Any
    tokenizer: Any  # tokenizers.Tokenizer
    max_answer_tokens: int = 256


def normalise(pixels: Tensor) -> Tensor:
    """``uint8 (N, S, S, 3)`` to the model's ``float32 (N, 3, S, S)``."""
    scaled = pixels.permute(0, 3, 1, 2).float() / 255
    return (scaled - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


def validate(
    parts: Parts, first_seed: int, count: int, *, phrases: bool = False
) -> dict[str, float]:
    """How good the answers are about held-out scenes.

    Args:
        parts: The model.
        first_seed: Seed of the first scene, from one million on.
        count: Number of scenes.
        phrases: Also ask each scene for each colour and shape.

    Returns:
        ``od_ap50``, ``od_ap``, and with ``phrases`` also ``ovd_ap50``, ``ovd_ap``; for each task
        the part of its answers that is right (see :func:`_is_right`).

    Raises:
        UsageError: If the seeds are those of training scenes.
    """
    if first_seed < FIRST_HELD_OUT_SEED:
        raise UsageError(f"seed {first_seed} is for training; use {FIRST_HELD_OUT_SEED} or more")
    scenes = [paint(seed) for seed in range(first_seed, first_seed + count)]
    truths = [truth_of(scene) for scene in scenes]
    pixels = torch.from_numpy(np.stack([squash(scene.image) for scene in scenes]))
    features = torch.cat(
        [encode_images(parts, pixels[start : start + 64]) for start in range(0, count, 64)]
    )
    asked = [(index, detection(truth).prompt) for index, truth in enumerate(truths)]
    found = _ask(parts, features, asked)
    result = _figures("od", SHAPES, truths, found)
    if phrases:
        asked = [(i, open_vocabulary(p, t).prompt) for p in PHRASES for i, t in enumerate(truths)]
        found = _ask(parts, features, asked)
        result |= _figures("ovd", PHRASES, truths, found)
    rng = random.Random(first_seed)
    for task, lesson in LESSONS.items():
        fitting = [i for i, t in enumerate(truths) if t.objects or not lesson.needs_object]
        if lesson.is_reading:
            fitting = [i for i in fitting if truths[i].words]
        if not fitting:
            continue
        exchanges = [lesson.ask(rng, truths[index]) for index in fitting]
        answers = greedy(parts, features[fitting], [each.prompt for each in exchanges])
        right = [
            _is_right(parts, each, tokens)
            for each, (tokens, _) in zip(exchanges, answers, strict=True)
        ]
        result[task] = sum(right) / len(right)
    return result


def _is_right(parts: Parts, exchange: Exchange, tokens: list[int]) -> bool:
    """Whether the text is the right one and no location is off by over a fortieth of a side."""
    true = parts.tokenizer.encode(exchange.answer).ids[1:]
    if len(true) != len(tokens):
        return False
    first = int(parts.tokenizer.token_to_id("<loc_0>"))

    def is_close(a: int, b: int) -> bool:
        are_locations = all(first <= token < first + LOCATION_BINS for token in (a, b))
        return a == b or (are_locations and abs(a - b) <= LOCATION_BINS // 40)

    return all(map(is_close, true, tokens))


def _figures(
    name: str, categories: Sequence[str], truths: list[Truth], found: list[Scored]
) -> dict[str, float]:
    scale = 1000 / LOCATION_BINS
    true = [
        Scored(
            index,
            target.phrase if target.phrase in categories else target.shape,
            tuple((b + 0.5) * scale for b in target.bins),  # type: ignore[arg-type]
            1.0,
        )
        for index, truth in enumerate(truths)
        for target in truth.objects
    ]
    ap50, ap = average_precision(categories, range(len(truths)), true, found)
    return {f"{name}_ap50": ap50, f"{name}_ap": ap, f"{name}_found": len(found) / len(true)}


@torch.inference_mode()
def encode_images(parts: Parts, pixels: Tensor) -> Tensor:
    """Image tokens of ``uint8 (N, S, S, 3)`` pixels, ``(N, T, D)``."""
    features: Tensor = parts.model.get_image_features(normalise(pixels)).pooler_output
    return features


def _ask(parts: Parts, features: Tensor, asked: list[tuple[int, str]]) -> list[Scored]:
    """Ask about encoded images; the boxes are in thousandths of the picture's sides."""
    found: list[Scored] = []
    for start in range(0, len(asked), 250):
        part = asked[start : start + 250]
        images = features[[index for index, _ in part]]
        for (index, _), (tokens, logs) in zip(
            part, greedy(parts, images, [prompt for _, prompt in part]), strict=True
        ):
            found += _read(parts, index, tokens, logs)
    return found


@torch.inference_mode()
def greedy(
    parts: Parts, images: Tensor, prompts: Sequence[str]
) -> list[tuple[list[int], list[float]]]:
    """Greedy answers: for each question its token ids and their log-probabilities."""
    encodings = parts.tokenizer.encode_batch(list(prompts))
    width = max(len(e.ids) for e in encodings)
    ids = torch.tensor([e.ids + [1] * (width - len(e.ids)) for e in encodings])
    embeddings = torch.cat([images, parts.model.get_input_embeddings()(ids)], dim=1)
    mask = torch.cat([torch.ones(images.shape[:2], dtype=torch.long), (ids != 1).long()], dim=1)
    language = parts.model.model.language_model
    encoded = language.encoder(inputs_embeds=embeddings, attention_mask=mask).last_hidden_state
    rows = torch.arange(len(prompts))
    answers: list[tuple[list[int], list[float]]] = [([], []) for _ in prompts]
    tokens, cache = torch.tensor([[2, 0]] * len(prompts)), None
    for _ in range(parts.max_answer_tokens):
        output = language.decoder(
            input_ids=tokens,
            encoder_hidden_states=encoded,
            encoder_attention_mask=mask,
            past_key_values=cache,
            use_cache=True,
        )
        cache = output.past_key_values
        logs, best = parts.model.lm_head(output.last_hidden_state[:, -1]).log_softmax(-1).max(-1)
        for row, token, log in zip(rows.tolist(), best.tolist(), logs.tolist(), strict=True):
            answers[row][0].append(token)
            answers[row][1].append(log)
        keep = best != 2
        if not bool(keep.any()):
            break
        if int(keep.sum()) < len(keep):
            # Rows that are done leave the batch: most answers are short.
            cache.batch_select_indices(keep.nonzero()[:, 0])
            encoded, mask, rows, best = encoded[keep], mask[keep], rows[keep], best[keep]
        tokens = best[:, None]
    return answers


def _read(parts: Parts, index: int, tokens: list[int], logs: list[float]) -> list[Scored]:
    """Boxes of one answer; the score is the geometric mean of the label's and the box's tokens."""
    first = int(parts.tokenizer.token_to_id("<loc_0>"))
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
            x1, y1, x2, y2 = (tokens[p] - first + 0.5 for p in place[-4:])
            text = parts.tokenizer.decode([tokens[p] for p in label])
            if x1 <= x2 and y1 <= y2:
                found.append(Scored(index, text, (x1, y1, x2, y2), score))
    return found
