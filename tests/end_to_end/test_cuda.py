"""What needs a CUDA device: `python -m pytest tests/end_to_end/test_cuda.py` where there is one.

What can be held without one is beside each module: graphs by an emulation, memory by counting.
"""

import inspect
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import annotate
from random_models import answers_to, network_of_windows_of_one, random_states
from small_models import ask

from florence_annotate import tasks
from florence_annotate.checkpoints import checkpoint as checkpoints
from florence_annotate.engines.annotator import Annotator
from florence_annotate.engines.batch_size import fitting_batch_size
from florence_annotate.images.codec import model_pixels
from florence_annotate.model import device as devices
from florence_annotate.model.attention import attend_by
from florence_annotate.model.florence import Florence
from florence_annotate.model.generation.stepping import Calls, Graphs
from florence_annotate.model.vision import VisionTower
from florence_annotate.questions.asking import AskAll
from florence_annotate.shapes.scenes import paint
from florence_annotate.types import Generation, ImageRef, Picture, Question, Record

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="this machine has no CUDA device"
)
CUDA = torch.device("cuda:0")
OD = Question(tasks.OD)
GENERATION = Generation(64, 1, 0, retry_truncated=False)


def load(device: torch.device, dtype: torch.dtype) -> Florence:
    return Florence(checkpoints.find("shapes"), device, dtype, "sdpa")


@pytest.fixture(scope="module")
def on_cuda() -> Florence:
    """The embedded checkpoint in float32."""
    return load(CUDA, torch.float32)


class CalledInTheSizesOfGraphs(Calls):
    """So that kernels see the same shapes, and round alike."""

    look_every = Graphs.look_every
    rounded = Graphs.rounded


@pytest.fixture
def checked_captures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Captures with PyTorch's own check that what a graph reads is alive when it is replayed."""
    if "check_input_liveness" not in inspect.signature(torch.cuda.graph).parameters:
        pytest.skip(f"PyTorch {torch.__version__} has no check of input liveness")
    from torch.utils import _cuda_debug

    # it would take what a capture makes of nothing, as arange does, for something from outside
    monkeypatch.setattr(
        _cuda_debug._TensorTrackingMode, "_selects_cuda_dispatch_key", lambda self, values: True
    )
    monkeypatch.setattr(torch.cuda, "graph", partial(torch.cuda.graph, check_input_liveness=True))


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.usefixtures("checked_captures")
def test_graphs_with_long_and_short_answers_in_turn_say_what_called_steps_say(
    on_cuda: Florence, beams: int
) -> None:
    states = random_states(on_cuda)
    with torch.inference_mode():
        called = answers_to(on_cuda, states, beams, CalledInTheSizesOfGraphs())
        replayed = answers_to(on_cuda, states, beams, Graphs(CUDA))
    assert {len(tokens) > 64 for tokens in called} == {False, True}
    assert replayed == called


def test_a_job_runs_on_the_device_that_is_named(
    scenes: Path, dataset: Path, tmp_path: Path
) -> None:
    """On the first one, and on the last, which is not what PyTorch takes where it is told none."""
    for index in sorted({0, torch.cuda.device_count() - 1}, reverse=True):
        out = tmp_path / str(index)
        result = annotate(scenes, out, "--device", f"cuda:{index}", "--format", "coco")
        assert result.code == 0, result.err
        assert f"on cuda:{index} in float32" in result.err
        assert torch.cuda.current_device() == index
        found, expected = (len(annotations(folder)) for folder in (out, dataset))
        assert abs(found - expected) <= 0.2 * expected


def annotations(folder: Path) -> list[object]:
    files = (folder / "annotations").glob("instances_*.json")
    return [one for file in files for one in json.loads(file.read_text())["annotations"]]


def blank_pictures(count: int, side: int) -> list[Picture]:
    pixels = np.zeros((1, 3, side, side), np.uint8)
    return [Picture(ImageRef(str(i), b"", 0, 0), "", pixels, side, side) for i in range(count)]


@pytest.fixture
def limit_memory() -> Iterator[Callable[[int], None]]:
    """Leave so many bytes beside those that PyTorch has reserved."""

    def leave(spare: int) -> None:
        torch.cuda.empty_cache()
        total = torch.cuda.get_device_properties(CUDA).total_memory
        share = (torch.cuda.memory_reserved(CUDA) + spare) / total
        torch.cuda.set_per_process_memory_fraction(share, CUDA)

    yield leave
    torch.cuda.set_per_process_memory_fraction(1.0, CUDA)


def test_memory_that_runs_out_halves_the_batch(
    on_cuda: Florence, limit_memory: Callable[[int], None]
) -> None:
    annotator = Annotator(on_cuda, AskAll((OD,)), GENERATION, 512)
    pictures = blank_pictures(512, on_cuda.image_size)
    list(annotator.annotate([pictures[:1]]))  # whatever is allocated once
    limit_memory(192 << 20)
    outcomes = [one for some in annotator.annotate([pictures]) for one in some]
    assert len(outcomes) == 512 and all(isinstance(one, Record) for one in outcomes)
    assert annotator.batch_size < 512


def test_the_automatic_batch_size_is_a_power_of_two_that_fits(on_cuda: Florence) -> None:
    generation = Generation(512, 3, 3, retry_truncated=True)
    size = fitting_batch_size(on_cuda, generation, [OD])
    assert 1 <= size <= 128 and size & (size - 1) == 0
    annotator = Annotator(on_cuda, AskAll((OD,)), generation, size)
    pictures = blank_pictures(2 * size, on_cuda.image_size)
    assert len([one for some in annotator.annotate([pictures]) for one in some]) == 2 * size
    assert annotator.batch_size == size


def test_float16_says_nearly_what_float32_says(on_cuda: Florence) -> None:
    """The embedded checkpoint is the hardest case: neighbouring bins are almost equally likely."""
    pixels = [model_pixels(paint(seed).image, 96)[0] for seed in range(3_300_000, 3_300_020)]
    asked = [(index, OD) for index in range(len(pixels))]
    labels = []
    for model in (on_cuda, load(CUDA, torch.float16)):
        answers = ask(model, model.encode(pixels), asked, GENERATION)
        assert all(np.isfinite(answer.logprobs).all() for answer in answers)
        # the text before the first location: the first object's label
        labels.append([answer.data.split(b"<loc_")[0] for answer in answers])
    same = sum(one == other for one, other in zip(*labels, strict=True))
    assert same >= 0.8 * len(pixels)


def test_more_images_than_a_kernel_takes_are_encoded() -> None:
    network = network_of_windows_of_one().to(CUDA)
    tower = VisionTower(network, attend_by("sdpa"), (0.5,) * 3, (0.5,) * 3)
    pixels = torch.randint(0, 256, (300, 3, 64, 64), dtype=torch.uint8, device=CUDA)
    with torch.inference_mode():
        expected = torch.cat([tower(part) for part in pixels.split(100)])
        assert torch.allclose(tower(pixels), expected, atol=1e-2)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_flash_attn_gives_what_sdpa_gives(dtype: torch.dtype) -> None:
    pytest.importorskip("flash_attn", exc_type=ImportError)
    notes: list[str] = []
    kernel = devices.resolve_attention("auto", CUDA, dtype, notes.append)
    if notes:
        pytest.skip(notes[0])
    assert kernel == "flash_attention_2"
    query, key, value = torch.randn(3, 64, 4, 144, 32, device=CUDA, dtype=dtype)
    found, expected = (attend_by(kind)(query, key, value, None) for kind in (kernel, "sdpa"))
    assert torch.allclose(found, expected, atol=1e-2)
