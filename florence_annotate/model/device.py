"""Which device, number format and attention kernel a job runs on."""

import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING

from florence_annotate.errors import DeviceError

if TYPE_CHECKING:
    import torch


def resolve_device(asked: str) -> "torch.device":
    """The device to run on: for `auto` CUDA, else Apple's MPS, else the CPU.

    Raises DeviceError for a device that this machine lacks.
    """
    import torch

    has_mps = torch.backends.mps.is_available()
    if asked == "auto":
        asked = "cuda" if torch.cuda.is_available() else "mps" if has_mps else "cpu"
    device = torch.device(asked)
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise DeviceError(
                f"--device {asked}: this PyTorch ({torch.__version__}) sees no CUDA device. Use "
                "--device cpu, or install a CUDA build of PyTorch and check nvidia-smi"
            )
        if (device.index or 0) >= torch.cuda.device_count():
            raise DeviceError(
                f"--device {asked}: there are {torch.cuda.device_count()} CUDA devices, counted "
                "from cuda:0"
            )
    if device.type == "mps" and not has_mps:
        raise DeviceError("--device mps: this machine has no Apple GPU; use --device cpu")
    return device


def make_current(device: "torch.device") -> None:
    """Let a CUDA device be the one that is meant where PyTorch is told none.

    Otherwise that is `cuda:0`: its streams would be captured and waited for, and memory be taken
    there, while the model is on another.
    """
    import torch

    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)


def resolve_dtype(asked: str, device: "torch.device", *, is_embedded: bool) -> "torch.dtype":
    """The number format of the model: for `auto` bfloat16 where the hardware multiplies it.

    That is on most GPUs, and on CPUs with AVX-512 BF16 or AMX (docs/performance.md has what it
    gains there); elsewhere it is float32. The embedded checkpoint is so small that it stays in
    float32. Raises KeyError for a name that is no number format.
    """
    import torch

    if asked == "auto":
        if device.type == "cpu":
            # older releases of PyTorch can't tell
            features: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
            has_bfloat16 = bool(features.get("avx512_bf16") or features.get("amx_bf16"))
        else:
            has_bfloat16 = device.type == "cuda" and _multiplies_bfloat16(device)
        return torch.bfloat16 if has_bfloat16 and not is_embedded else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[asked]


def _multiplies_bfloat16(device: "torch.device") -> bool:
    """Whether a GPU multiplies bfloat16 itself; on older ones PyTorch emulates that, slowly."""
    import torch

    with torch.cuda.device(device):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))


_FLASH = "flash_attention_2"
_FLASH_NEEDS = 8, 0
"""The compute capability from which on flash-attn 2 has kernels: Ampere's (its README)."""


def resolve_attention(
    asked: str, device: "torch.device", dtype: "torch.dtype", note: Callable[[str], None]
) -> str:
    """The attention kernel: for `auto` flash-attn where it is installed and works, else SDPA.

    It works on CUDA devices in bfloat16 or float16, and is tried; where it fails although it is
    installed, `note` tells the user why. Raises DeviceError where it is asked for and does not
    work.
    """
    import torch

    if asked not in ("auto", _FLASH):
        return asked
    is_installed = importlib.util.find_spec("flash_attn") is not None
    fits = device.type == "cuda" and dtype in (torch.float16, torch.bfloat16)
    if is_installed and fits:
        problem = _flash_problem(device, dtype)
        if problem is None:
            return _FLASH
        if asked == "auto":
            note(f"attention by SDPA, since flash-attn does not work here: {problem}")
            return "sdpa"
        raise DeviceError(
            f"--attention {_FLASH}: flash-attn does not work here: {problem}. Install a build for "
            f"PyTorch {torch.__version__} and this GPU, or use --attention sdpa"
        )
    if asked == "auto":
        return "sdpa"
    if not is_installed:
        raise DeviceError(
            f"--attention {_FLASH}: flash-attn is not installed: "
            "pip install flash-attn, or use --attention sdpa"
        )
    raise DeviceError(f"--attention {_FLASH} needs a CUDA device and --dtype bfloat16 or float16")


def _flash_problem(device: "torch.device", dtype: "torch.dtype") -> str | None:
    """Why flash-attn, which is installed, does not work on a CUDA device; None where it does."""
    import torch

    from florence_annotate.model.attention import attend_by

    has = torch.cuda.get_device_capability(device)
    if has < _FLASH_NEEDS:
        return "it needs compute capability {}.{}, and {} has {}.{}".format(
            *_FLASH_NEEDS, device, *has
        )
    try:
        probe = torch.zeros((1, 2, 16, 32), device=device, dtype=dtype)
        attend_by(_FLASH)(probe, probe, probe, None)
        torch.cuda.synchronize(device)
    except Exception as error:  # what was built for another PyTorch raises nearly anything
        return (str(error) or type(error).__name__).strip().splitlines()[0]
    return None


def most_memory(device: "torch.device") -> int:
    """The most bytes of memory that a CUDA device has held; 0 for other devices."""
    import torch

    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0


def say_memory(count: int) -> str:
    """Bytes of a device as text; empty for none."""
    return f"{count / 2**30:.1f} GiB" if count else ""
