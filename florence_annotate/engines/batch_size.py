"""How many images, and questions, fit the device's memory at once."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from florence_annotate.model.florence import Florence
from florence_annotate.types import Generation, Question

ON_OTHER_DEVICES = 8
"""On a CPU more gives nothing: every product fills the cores already."""
_MOST = 128
_SHARE = 0.8
"""Part of the free memory that is planned with; longer answers take some more than was measured."""
_FEW, _MORE = 2, 6
_TRIAL_TOKENS = 64


def fitting_batch_size(
    model: Florence, generation: Generation, questions: Sequence[Question]
) -> int:
    """A power of two; measured with two small batches on CUDA, a constant elsewhere."""
    if model.device.type != "cuda":
        return ON_OTHER_DEVICES
    trial = replace(generation, max_new_tokens=_TRIAL_TOKENS, retry_truncated=False)
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
    """The most memory that so many images, and as many questions, took."""
    torch.cuda.reset_peak_memory_stats(model.device)
    blank = np.zeros((3, model.image_size, model.image_size), np.uint8)
    features = model.encode([blank] * count)
    answering = model.answering(generation, count)
    for place in range(count):
        answering.ask(place, features[place], question)
    while answering.answers():
        pass
    return torch.cuda.max_memory_allocated(model.device)
