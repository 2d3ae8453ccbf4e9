"""Which device, number format and attention kernel are taken."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

from florence_annotate.checkpoints import checkpoint as checkpoints
from florence_annotate.errors import DeviceError
from florence_annotate.model import device as devices
from florence_annotate.model.florence import Florence

CPU, SECOND = torch.device("cpu"), torch.device("cuda:1")


def resolve_attention(
    asked: str, device: torch.device = SECOND, dtype: torch.dtype = torch.bfloat16
) -> tuple[str, list[str]]:
    """The kernel, and what the user is told."""
    notes: list[str] = []
    return devices.resolve_attention(asked, device, dtype, notes.append), notes


def test_cuda_that_is_absent_is_refused() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(DeviceError, match="sees no CUDA device"):
        devices.resolve_device("cuda")


def test_the_device_of_a_model_is_made_current_before_anything_is_put_on_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Then streams, captures and waits are that device's, too; without CUDA no more can be seen."""

    def set_device(device: torch.device) -> None:
        raise RuntimeError(f"current: {device}")

    monkeypatch.setattr(torch.cuda, "set_device", set_device)
    for device in (CPU, torch.device("cuda")):
        devices.make_current(device)  # which is no other than what would be taken anyway
    with pytest.raises(RuntimeError, match="current: cuda:1"):
        Florence(checkpoints.find("shapes"), SECOND, torch.float32, "sdpa")


@pytest.mark.parametrize("has_bfloat16", [False, True])
def test_auto_is_bfloat16_where_the_processor_multiplies_it(
    monkeypatch: pytest.MonkeyPatch, has_bfloat16: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": has_bfloat16})
    expected = torch.bfloat16 if has_bfloat16 else torch.float32
    assert devices.resolve_dtype("auto", CPU, is_embedded=False) is expected
    assert devices.resolve_dtype("auto", CPU, is_embedded=True) is torch.float32


def test_auto_attention_is_sdpa_where_flash_attn_can_not_be() -> None:
    assert resolve_attention("auto", CPU) == ("sdpa", [])
    assert resolve_attention("auto", SECOND, torch.float32) == ("sdpa", [])


def install_flash_attn(patch: pytest.MonkeyPatch, folder: Path, code: str) -> None:
    """A package of that name, on a machine with a GPU of Ampere's kind."""
    (folder / "flash_attn").mkdir()
    (folder / "flash_attn" / "__init__.py").write_text(code)
    patch.syspath_prepend(folder)
    patch.setitem(sys.modules, "flash_attn", None)  # what is imported is forgotten in the end
    del sys.modules["flash_attn"]
    patch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 6))
    patch.setattr(torch.cuda, "synchronize", lambda device: None)
    zeros = torch.zeros
    patch.setattr(torch, "zeros", lambda shape, device, dtype: zeros(shape, dtype=dtype))


BROKEN = {
    "built for another PyTorch": 'raise ImportError("flash_attn_2_cuda.so: undefined symbol: _Z")',
    "without kernels for the GPU": (
        "def flash_attn_func(*tensors):\n"
        "    raise RuntimeError('no kernel image is available\\nCompile with')"
    ),
}


@pytest.mark.parametrize("code", BROKEN.values(), ids=BROKEN)
def test_flash_attn_that_fails_is_left_out_by_auto_and_refused_where_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str
) -> None:
    install_flash_attn(monkeypatch, tmp_path, code)
    kernel, (note,) = resolve_attention("auto")
    assert kernel == "sdpa"
    with pytest.raises(DeviceError, match="--attention sdpa") as refused:
        resolve_attention("flash_attention_2")
    for told in (note, str(refused.value)):
        assert "undefined symbol" in told or "no kernel image" in told
        assert "\n" not in told
    assert resolve_attention("sdpa") == ("sdpa", [])


def test_flash_attn_needs_a_gpu_of_amperes_kind(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install_flash_attn(monkeypatch, tmp_path, "def flash_attn_func(q, k, v): return q")
    assert resolve_attention("auto") == ("flash_attention_2", [])
    assert resolve_attention("flash_attention_2") == ("flash_attention_2", [])
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    kernel, (note,) = resolve_attention("auto")
    assert kernel == "sdpa" and "8.0, and cuda:1 has 7.5" in note
    with pytest.raises(DeviceError, match=r"cuda:1 has 7\.5"):
        resolve_attention("flash_attention_2")


def test_flash_attn_that_is_not_installed_is_refused_where_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert resolve_attention("auto") == ("sdpa", [])
    with pytest.raises(DeviceError, match="not installed"):
        resolve_attention("flash_attention_2")


def test_flash_attn_that_can_not_be_is_refused_where_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install_flash_attn(monkeypatch, tmp_path, "def flash_attn_func(q, k, v): return q")
    for device, dtype in ((CPU, torch.bfloat16), (SECOND, torch.float32)):
        with pytest.raises(DeviceError, match="needs a CUDA device and --dtype bfloat16"):
            resolve_attention("flash_attention_2", device, dtype)


def test_a_device_and_a_format_that_are_named_are_taken() -> None:
    assert devices.resolve_device("cpu") == CPU
    for name in ("float32", "bfloat16", "float16"):
        assert devices.resolve_dtype(name, CPU, is_embedded=True) is getattr(torch, name)
    assert resolve_attention("eager", CPU) == ("eager", [])
    assert devices.say_memory(devices.most_memory(CPU)) == ""
