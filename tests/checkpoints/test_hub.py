"""Checkpoints from the hub, as far as it needs no network."""

import pytest

from florence_annotate.checkpoints import checkpoint as checkpoints
from florence_annotate.errors import CheckpointError


def test_a_hub_failure_says_how_to_give_a_folder() -> None:
    with pytest.raises(CheckpointError, match=r"--model \./folder"):
        checkpoints.find("base", download=False)
