"""How many threads a model gets, and that they sleep while they wait."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from florence_annotate.checkpoints import checkpoint as checkpoints
from florence_annotate.model import threads


@pytest.fixture(autouse=True)
def threads_stay_as_they_are() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def large(tmp_path: Path) -> checkpoints.Checkpoint:
    """A checkpoint with weights as large as those of the public ones in float16."""
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(464_000_000)  # takes no room
    return replace(checkpoints.find("shapes"), folder=tmp_path)


def test_a_small_model_has_one_and_a_large_one_has_all(large: checkpoints.Checkpoint) -> None:
    assert threads.settle("auto", checkpoints.find("shapes")) == torch.get_num_threads() == 1
    assert threads.settle("auto", large) == torch.get_num_threads() == threads.most_threads()


def test_what_is_asked_for_is_what_there_is(large: checkpoints.Checkpoint) -> None:
    for count in (3, 1, 2):
        assert threads.settle(count, large) == torch.get_num_threads() == count


@pytest.mark.parametrize("given", [None, "1"])
def test_auto_has_no_more_than_the_environment_allows(given: str | None) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    environment |= {"OMP_NUM_THREADS": given} if given else {}
    code = (
        "from florence_annotate import cores\nfrom florence_annotate.model import threads\n"
        "print(threads.most_threads(), cores.available())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    most, available = map(int, done.stdout.split())
    assert most == 1 if given else 1 <= most <= available


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere OpenMP is another library")
@pytest.mark.parametrize(("given", "spins"), [(None, False), ("ACTIVE", True)])
def test_threads_of_the_command_sleep_while_they_wait(given: str | None, spins: bool) -> None:
    """As the OpenMP library says itself when PyTorch loads it: how often it looks before it does.

    By itself 300,000 times, which are milliseconds. What the environment says beats the command.
    """
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    environment |= {"OMP_DISPLAY_ENV": "VERBOSE"} | ({"OMP_WAIT_POLICY": given} if given else {})
    done = subprocess.run(
        [sys.executable, "-m", "florence_annotate", "doctor"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    looks = re.findall(r"GOMP_SPINCOUNT = '(\d+)'", done.stderr)
    assert looks and all((int(count) > 0) is spins for count in looks), done.stderr
