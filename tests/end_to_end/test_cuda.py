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
from random_models import (
    answers_to,
    network_of_width,
    network_of_windows_of_one,
    random_states,
)
from small_models import ask
from torch.nn import functional

from florence_annotate import tasks
from florence_annotate.checkpoints import checkpoint as checkpoints
from florence_annotate.engines.annotator import Annotator
from florence_annotate.engines.batch_size import fitting_batch_size
from florence_annotate.images.resizing import model_pixels
from florence_annotate.model import device as devices
from florence_annotate.model import kernels
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


@pytest.fixture
def no_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Convolutions in full float32; products have it by default."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@pytest.fixture
def needs_triton() -> None:
    if not kernels.suit(torch.empty(0, device=CUDA)):
        pytest.skip("no Triton here, or a GPU that is too old for it")


EXACT = [(torch.float32, 2e-5), (torch.float16, 1e-2), (torch.bfloat16, 6e-2)]
"""Number formats, and how far a kernel may be from plain float32."""


def random(*shape: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.randn(*shape, device=CUDA, dtype=dtype)


@pytest.mark.parametrize(("dtype", "most"), EXACT)
@pytest.mark.parametrize("width", [32, 96, 768, 2048])
@pytest.mark.parametrize("rows", [3, 5_000])
@pytest.mark.usefixtures("needs_triton")
def test_the_fused_normalisation_is_plain_pytorchs(
    rows: int, width: int, dtype: torch.dtype, most: float
) -> None:
    from florence_annotate.model.kernels.norms import normalise

    states, other = random(2, rows, width, dtype=dtype)
    weight, bias = random(2, width, dtype=dtype)
    for added in (None, other, bias):
        whole = states.float() if added is None else states.float() + added.float()
        expected = functional.layer_norm(whole, (width,), weight.float(), bias.float())
        found = normalise(states, added, weight, bias, 1e-5).float()
        assert torch.allclose(found, expected, atol=most, rtol=most)


@pytest.mark.parametrize(("dtype", "most"), EXACT)
@pytest.mark.parametrize(
    "shape", [(2, 7, 9, 32), (1, 13, 24, 96), (2, 24, 24, 1024), (1, 5, 3, 2048)]
)
@pytest.mark.usefixtures("needs_triton", "no_tf32")
def test_the_fused_convolution_is_plain_pytorchs(
    shape: tuple[int, ...], dtype: torch.dtype, most: float
) -> None:
    from florence_annotate.model.kernels.norms import convolve_and_normalise

    channels = shape[3]
    states, taps = random(*shape, dtype=dtype), random(9, channels, dtype=dtype) / 3
    bias, weight, shift, following = random(4, channels, dtype=dtype)
    kernel = taps.float().t().reshape(channels, 1, 3, 3)
    image = states.float().permute(0, 3, 1, 2)
    convolved = functional.conv2d(image, kernel, bias.float(), padding=1, groups=channels)
    total = states.float() + convolved.permute(0, 2, 3, 1)
    expected = functional.layer_norm(total, (channels,), weight.float(), shift.float())
    for more in (None, following):
        found, normed = convolve_and_normalise(states, taps, bias, weight, shift, 1e-5, more)
        assert torch.allclose(normed.float(), expected, atol=most, rtol=most)
        whole = total if more is None else total + more.float()
        assert torch.allclose(found.float(), whole, atol=most, rtol=most)


@pytest.mark.usefixtures("needs_triton")
def test_the_fused_convolution_takes_more_values_than_32_bits_count() -> None:
    """Two images of 2.2 thousand million values; the second one is where offsets overflow."""
    from florence_annotate.model.kernels.norms import convolve_and_normalise

    if torch.cuda.mem_get_info()[0] < 24 << 30:
        pytest.skip("needs 24 GiB of memory")
    image = random(1, 16, 16, 2048, dtype=torch.bfloat16)
    states = image.expand(4_200, -1, -1, -1).contiguous()
    taps, ones = random(9, 2048, dtype=torch.bfloat16), image[0, 0, 0]
    assert states.numel() > 1 << 31
    alone = convolve_and_normalise(image, taps, ones, ones, ones, 1e-5, None)
    many = convolve_and_normalise(states, taps, ones, ones, ones, 1e-5, None)
    for one, all_of_them in zip(alone, many, strict=True):
        assert torch.equal(all_of_them[-1:], one)


@pytest.mark.parametrize(("dtype", "most"), EXACT[1:])
@pytest.mark.parametrize("size", [1, 4, 6, 12])
@pytest.mark.usefixtures("needs_triton")
def test_attention_in_windows_is_plain_pytorchs(size: int, dtype: torch.dtype, most: float) -> None:
    """Also where windows reach over the edge, at whose other side lies what the bias is."""
    from florence_annotate.model.kernels.attention import attend_in_windows

    heads, width, down, across = 2, 32, 2, 3
    height, breadth = down * size, across * size
    whole = random(2, height, breadth, 3 * heads * width, dtype=dtype)
    bias = random(3 * heads * width, dtype=dtype)
    for missing in (0, size // 2):
        whole[:, height - missing :] = whole[:, :, breadth - missing :] = bias
        windows = whole.float().view(2, down, size, across, size, 3, heads, width)
        windows = windows.permute(5, 0, 1, 3, 6, 2, 4, 7).reshape(3, -1, heads, size**2, width)
        mixed = functional.scaled_dot_product_attention(*windows)
        mixed = mixed.view(2, down, across, heads, size, size, width).permute(0, 1, 4, 2, 5, 3, 6)
        expected = mixed.reshape(2, height, breadth, -1)
        expected = expected[:, : height - missing, : breadth - missing]
        seen = whole[:, : height - missing, : breadth - missing].contiguous()
        found = attend_in_windows(seen, bias, heads, size)
        assert torch.allclose(found.float(), expected, atol=most, rtol=most)


@pytest.mark.parametrize(("dtype", "most"), EXACT)
@pytest.mark.parametrize("queries", [1, 3, 20])
@pytest.mark.usefixtures("needs_triton")
def test_attention_of_few_queries_is_plain_pytorchs(
    queries: int, dtype: torch.dtype, most: float
) -> None:
    """Over a part of a longer cache, and with queries that lie beside other things."""
    from florence_annotate.model.kernels.attention import attend_few

    query = random(5, queries, 3, 4, 64, dtype=dtype)[:, :, 0]
    keys, values = random(2, 6, 4, 150, 64, dtype=dtype)[:, :5, :, :130]
    hidden = torch.rand(5, 1, queries, 130, device=CUDA) < 0.4
    hidden[..., 0] = False
    mask = torch.zeros(hidden.shape, device=CUDA, dtype=dtype).masked_fill(hidden, -torch.inf)
    expected = functional.scaled_dot_product_attention(
        query.float().transpose(1, 2), keys.float(), values.float(), mask.float()
    )
    found = attend_few(query, keys, values, mask)
    expected = expected.transpose(1, 2).reshape(found.shape)
    assert torch.allclose(found.float(), expected, atol=most, rtol=most)


@pytest.mark.parametrize("side", [96, 104])
@pytest.mark.parametrize("kind", ["sdpa", "eager"])
@pytest.mark.usefixtures("no_tf32")
def test_the_tower_is_the_librarys(on_cuda: Florence, side: int, kind: str) -> None:
    """At 104 pixels no stage is a whole number of windows."""
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    pixels = torch.randint(0, 256, (3, 3, side, side), dtype=torch.uint8, device=CUDA)
    scale, shift = (torch.tensor(each, device=CUDA).view(3, 1, 1) for each in (std, mean))
    tower = VisionTower(on_cuda.network, attend_by(kind), mean, std)
    with torch.inference_mode():
        expected = on_cuda.network.get_image_features((pixels / 255 - shift) / scale)
        assert torch.allclose(tower(pixels), expected.pooler_output, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(
    ("dtype", "most"), [(torch.float32, 1e-4), (torch.float16, 1e-2), (torch.bfloat16, 5e-2)]
)
@pytest.mark.usefixtures("no_tf32")
def test_a_tower_of_bases_width_is_the_librarys(dtype: torch.dtype, most: float) -> None:
    """As far from float32 as the library's own in the same number format, or half as far again."""
    pixels = torch.randint(0, 256, (2, 3, 192, 192), dtype=torch.uint8, device=CUDA)
    scaled = pixels / 127.5 - 1
    with torch.inference_mode():
        expected = network_of_width(128).to(CUDA).get_image_features(scaled).pooler_output
        network = network_of_width(128).to(CUDA, dtype)
        librarys = network.get_image_features(scaled.to(dtype)).pooler_output
        found = VisionTower(network, attend_by("sdpa"), (0.5,) * 3, (0.5,) * 3)(pixels)
    far, farther = (
        float((one.float() - expected).norm() / expected.norm()) for one in (found, librarys)
    )
    assert far < most and far <= 1.5 * farther + 1e-5
