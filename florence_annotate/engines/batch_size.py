"""How many images, and questions, fit the device's memory at once."""

from collections.abc import Sequence

import numpy as np
import torch

from florence_annotate.model.florence import Florence
from florence_annotate.types import Generation, Question

ON_OTHER_DEVICES = 8
"""A batch of this size fills all cores of a CPU; larger ones are no faster."""
_MOST = 128
"""The largest batch that is chosen."""
_SHARE = 0.8
"""Part of the free memory that is planned with: long answers take more than was measured."""
_FEW, _MORE = 2, 6
"""The batches that are measured; what an image takes is the difference, divided."""
_TRIAL_TOKENS = 64


def fitting_batch_size(
    model: Florence, generation: Generation, questions: Sequence[Question]
) -> int:
    """The batch size that fits the device's free memory: a power of two, at most 128.

    On CUDA it follows from the memory that two small batches take; elsewhere it is a constant.
    """
    if model.device.type != "cuda":
        return ON_OTHER_DEVICES
    trial = generation.shortened(_TRIAL_TOKENS)
    try:
        few, more = (_peak_bytes(model, trial, questions[0], count) for count in (_FEW, _MORE))
    except torch.OutOfMemoryError:
        return _FEW  # a nearly full device; the job halves it where that is too much
    each = max(1, (more - few) // (_MORE - _FEW))
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info(model.device)
    fitting = max(1, min(_MOST, int(_SHARE * free) // each))
    return 1 << (fitting.bit_length() - 1)


def _peak_bytes(model: Florence, generation: Generation, question: Question, count: int) -> int:
    """The most memory, in bytes, that is taken by so many images with a question about each."""
    torch.cuda.reset_peak_memory_stats(model.device)
    blank = np.zeros((3, model.image_size, model.image_size), np.uint8)
    features = model.encode([blank] * count)
    answering = model.answering(generation, count)
    for index in range(count):
        answering.ask(index, features[index], question)
    while answering.answers():
        pass
    return torch.cuda.max_memory_allocated(model.device)
