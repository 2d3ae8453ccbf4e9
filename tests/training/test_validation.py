"""How good a checkpoint is on scenes that it was never trained on."""

import pytest

from florence_annotate.errors import UsageError
from florence_annotate.shapes import CHECKPOINT
from florence_annotate.tasks import TASKS
from training.asking import load
from training.validation import validate


def test_the_embedded_checkpoint_is_good() -> None:
    figures = validate(load(CHECKPOINT), 1_500_000, 8)
    assert figures["od_ap50"] > 0.9
    assert figures.keys() >= {task.name for task in TASKS}
    assert all(0 <= figures[task.name] <= 1 for task in TASKS)


def test_training_scenes_are_refused() -> None:
    with pytest.raises(UsageError, match="is for training"):
        validate(load(CHECKPOINT), 999_999, 1)
