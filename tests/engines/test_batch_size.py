"""How many images fit at once."""

import pytest
import torch

from florence_annotate.engines.batch_size import ON_OTHER_DEVICES, fitting_batch_size
from florence_annotate.model.florence import Florence
from florence_annotate.types import Generation, Question

GENERATION = Generation(16, 1, 0, False)


def test_a_cpu_has_a_batch_size_of_its_own(model: Florence) -> None:
    assert fitting_batch_size(model, GENERATION, [Question("<OD>")]) == ON_OTHER_DEVICES


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")
def test_on_cuda_it_is_a_power_of_two_that_fits() -> None:
    from florence_annotate.checkpoints import checkpoint as checkpoints

    found = checkpoints.find("shapes")
    on_cuda = Florence(found, torch.device("cuda"), torch.float32, "sdpa")
    size = fitting_batch_size(on_cuda, GENERATION, [Question("<OD>")])
    assert 1 <= size <= 128 and size & (size - 1) == 0
