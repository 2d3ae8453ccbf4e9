"""How many images fit at once."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from counted_memory import peak
from transformers import BartConfig, BartModel

from florence_annotate import tasks
from florence_annotate.engines import batch_size
from florence_annotate.engines.batch_size import (
    ON_OTHER_DEVICES,
    bytes_an_image,
    fitting,
    fitting_batch_size,
)
from florence_annotate.model import florence
from florence_annotate.model.attention import attend_by
from florence_annotate.model.decoder import Caches, Decoder
from florence_annotate.model.florence import Florence
from florence_annotate.model.generation.loop import most_bytes_held
from florence_annotate.types import Generation, Question

GENERATION = Generation(16, 1, 0, False)
OD, CAPTION = Question(tasks.OD), Question(tasks.CAPTION)
GIB = 1 << 30


def test_a_cpu_has_a_batch_size_of_its_own(model: Florence) -> None:
    assert fitting_batch_size(model, GENERATION, [OD]) == ON_OTHER_DEVICES


@pytest.mark.parametrize(
    ("free", "each", "size"),
    [
        (80 * GIB, GIB, 64),  # 64 GiB are planned with
        (79 * GIB, GIB, 32),
        (GIB, GIB, 1),
        (80 * GIB, 1, 128),
    ],
)
def test_it_is_a_power_of_two_that_fits_into_four_fifths(free: int, each: int, size: int) -> None:
    assert fitting(free, each) == size


class Unending:
    """In the place of `Rules`: no answer ends before the limit."""

    def __new__(cls, **given: Any) -> Any:
        return RULES(**given | {"end": -1})


RULES = florence.Rules


@pytest.mark.parametrize(
    ("generation", "asked"),
    [
        (Generation(50, 3, 3, retry_truncated=True), [OD]),
        (
            Generation(80, 1, 0, False, for_text=Generation(100, 2, 3, False)),
            [OD, CAPTION, Question(tasks.GROUNDING, "a red star and a blue star")],
        ),
    ],
    ids=["beams", "both kinds"],
)
def test_what_an_image_takes_is_what_a_job_with_the_longest_answers_takes(
    model: Florence,
    monkeypatch: pytest.MonkeyPatch,
    generation: Generation,
    asked: list[Question],
) -> None:
    """The job encodes its second batch while the first one's answers are at their longest."""
    monkeypatch.setattr(florence, "Rules", Unending)
    monkeypatch.setattr(batch_size, "_TRIAL_TOKENS", 16)  # quicker, and more is left to counting
    each = bytes_an_image(model, generation, asked, peak)
    count = 8
    blank = [np.zeros((3, model.image_size, model.image_size), np.uint8)] * count

    def job() -> None:
        features = model.encode(blank)
        answering = model.answering(generation, count)
        for ticket, one in enumerate(features):
            for question in asked[-1:] if generation.for_text is None else (CAPTION, asked[-1]):
                answering.ask(ticket, one, question)
        while answering.answers():
            pass
        model.encode(blank)

    taken = peak(job) / count
    assert taken <= each <= 1.25 * taken


def decoder_of_size(width: int, layers: int) -> Decoder:
    """Of the public sizes' shapes, in bfloat16, without content."""
    config = BartConfig(
        vocab_size=51_289, d_model=width, decoder_layers=layers, encoder_layers=1,
        decoder_attention_heads=width // 64, decoder_ffn_dim=4 * width, encoder_ffn_dim=8,
    )  # fmt: skip
    with torch.device("meta"):
        language = BartModel(config).to(torch.bfloat16)
        head = torch.nn.Linear(width, config.vocab_size, dtype=torch.bfloat16)
    network = SimpleNamespace(
        model=SimpleNamespace(language_model=language),
        config=SimpleNamespace(text_config=config),
        lm_head=head,
    )
    return Decoder(network, attend_by("sdpa"))


def nbytes(caches: Caches) -> int:
    return sum(t.nbytes for t in (*caches.past, *caches.source, caches.source_mask))


@pytest.mark.parametrize(("width", "layers", "past"), [(768, 6, 56.6e6), (1024, 12, 151.0e6)])
def test_a_row_of_the_public_sizes_holds_what_its_caches_take(
    width: int, layers: int, past: float
) -> None:
    """With 3 beams and 1,024 tokens; an image and a prompt are 590 encoder states."""
    decoder = decoder_of_size(width, layers)
    caches = decoder.allocate(rows=2, beams=3, positions=1024, source=592)
    assert caches.past[0].nbytes * layers / 2 == pytest.approx(past, rel=0.001)
    held = most_bytes_held(decoder, beams=3, max_new_tokens=1023, source=590)
    moved = caches.past[0].nbytes // 2  # one layer is there twice while caches are enlarged
    assert nbytes(caches) / 2 + moved <= held <= 1.01 * (nbytes(caches) / 2 + moved)
