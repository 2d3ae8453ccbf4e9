"""How many images, and questions, fit the device's memory at once."""

import gc
from collections.abc import Callable, Sequence

import numpy as np
import torch

from florence_annotate.model.answering_by_kind import settings_for
from florence_annotate.model.florence import Florence
from florence_annotate.model.memory import give_back_freed_memory, say_out_of_memory
from florence_annotate.tasks import prompt
from florence_annotate.types import Generation, Question

ON_OTHER_DEVICES = 8
"""A batch of this size fills all cores of a CPU; larger ones are no faster."""
_MOST = 128
"""The largest batch that is chosen."""
_SHARE = 0.8
"""Part of the free memory that is planned with: it is in pieces, and some is lost between them."""
_FEW, _MORE = 2, 6
"""The batches that are measured; what an image takes is the difference, divided."""
_TRIAL_TOKENS = 64

Peak = Callable[[Callable[[], None]], int]
"""Runs a function; the most bytes of device memory that it took beside what was in use before."""


def fitting_batch_size(
    model: Florence, generation: Generation, questions: Sequence[Question]
) -> int:
    """The batch size that fits the device's free memory: a power of two, at most 128.

    On CUDA it follows from what an image takes; elsewhere it is a constant.
    """
    if model.device.type != "cuda":
        return ON_OTHER_DEVICES
    reason = None
    try:
        each = bytes_an_image(model, generation, questions, _peak_on(model.device))
    except (MemoryError, RuntimeError) as error:
        reason = say_out_of_memory(error)
    give_back_freed_memory()
    if reason is not None:
        return _FEW  # a nearly full device; the job halves it where that is too much
    free, _ = torch.cuda.mem_get_info(model.device)
    return fitting(free, each)


def fitting(free: int, each: int) -> int:
    """The batch size for so many free bytes, where each image takes so many."""
    fits = max(1, min(_MOST, int(_SHARE * free) // each))
    return 1 << (fits.bit_length() - 1)


def bytes_an_image(
    model: Florence, generation: Generation, questions: Sequence[Question], peak: Peak
) -> int:
    """The most bytes that an image takes in a job, with a question of each kind about it.

    Three things are there at once, since images are encoded while answers are under way: what
    encoding takes, beside the features of an earlier image; what the steps of the decoder take; and
    what a question holds as long as it is answered. The first two are measured, in batches of two
    sizes and with short answers. The last is counted, for the longest answers that there may be.
    """
    asked = _longest_prompts(model, generation, questions)
    trial = generation.shortened(min(_TRIAL_TOKENS, generation.max_new_tokens))
    _measure(model, trial, asked, _FEW, peak)  # whatever is allocated once is no part of an image
    few, more = (_measure(model, trial, asked, count, peak) for count in (_FEW, _MORE))
    further = sum(
        model.bytes_held(generation, question) - model.bytes_held(trial, question)
        for question in asked
    )
    return max(1, (more - few) // (_MORE - _FEW) + further)


def _longest_prompts(
    model: Florence, generation: Generation, questions: Sequence[Question]
) -> list[Question]:
    """Of the questions that are answered together, by the same settings, the longest one each."""
    by_length = sorted(questions, key=lambda one: len(model.vocabulary.prompt_ids(prompt(one))))
    return list({settings_for(generation, one): one for one in by_length}.values())


def _measure(
    model: Florence, generation: Generation, asked: Sequence[Question], count: int, peak: Peak
) -> int:
    """The most bytes that so many images take, each with all that is asked."""
    blank = np.zeros((3, model.image_size, model.image_size), np.uint8)
    features: list[torch.Tensor] = []

    def encode() -> None:
        features.extend(model.encode([blank] * count))

    def answer() -> None:
        answering = model.answering(generation, count)
        for ticket, one in enumerate(features):
            for question in asked:
                answering.ask(ticket, one, question)
        while answering.answers():
            pass

    return peak(encode) + peak(answer) + sum(one.nbytes for one in features)


def _peak_on(device: torch.device) -> Peak:
    def peak(run: Callable[[], None]) -> int:
        gc.collect()  # what earlier runs left is not given back during this one
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        run()
        return torch.cuda.max_memory_allocated(device) - before

    return peak
