"""Which device, number format and attention kernel are taken."""

import pytest
import torch

from florence_annotate.errors import DeviceError
from florence_annotate.model import device as devices

CPU = torch.device("cpu")


def test_cuda_that_is_absent_is_refused() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(DeviceError, match="sees no CUDA device"):
        devices.resolve_device("cuda")
    with pytest.raises(DeviceError, match="flash"):
        devices.resolve_attention("flash_attention_2", CPU, torch.float32)


@pytest.mark.parametrize("has_bfloat16", [False, True])
def test_auto_is_bfloat16_where_the_processor_multiplies_it(
    monkeypatch: pytest.MonkeyPatch, has_bfloat16: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": has_bfloat16})
    expected = torch.bfloat16 if has_bfloat16 else torch.float32
    assert devices.resolve_dtype("auto", CPU, is_embedded=False) is expected
    assert devices.resolve_dtype("auto", CPU, is_embedded=True) is torch.float32


def test_auto_attention_is_sdpa_on_a_cpu() -> None:
    assert devices.resolve_attention("auto", CPU, torch.float32) == "sdpa"


def test_a_device_and_a_format_that_are_named_are_taken() -> None:
    assert devices.resolve_device("cpu") == CPU
    for name in ("float32", "bfloat16", "float16"):
        assert devices.resolve_dtype(name, CPU, is_embedded=True) is getattr(torch, name)
    assert devices.resolve_attention("eager", CPU, torch.float32) == "eager"
    assert devices.memory_in_use(CPU) == ""
