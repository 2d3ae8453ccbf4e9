"""Linear layers of the base model's shapes: PyTorch's own path against oneDNN.

python -m benchmarks.linear_layers
"""

import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.measuring import parser, save
from florence_annotate.model import linear

SHAPES = {
    "vision, stage 3, inner": (8 * 2304, 512, 2048, True),
    "vision, stage 3, outer": (8 * 2304, 2048, 512, False),
    "encoder, inner": (8 * 590, 768, 3072, True),
    "decoder, 8 rows, inner": (8, 768, 3072, True),
    "output layer, 8 rows": (8, 768, 51_289, False),
    "embedded decoder, 16 rows": (16, 128, 384, False),
}


@torch.inference_mode()
def main() -> None:
    parser("linear_layers", __doc__).parse_args()
    rows = {}
    for dtype in (torch.float32, torch.bfloat16):
        for name, (count, inputs, outputs, gelu) in SHAPES.items():
            states = torch.randn(count, inputs).to(dtype)
            layer = linear.Affine(
                torch.randn(outputs, inputs).to(dtype), torch.randn(outputs).to(dtype)
            )
            if count < 100:  # as the decoder has them
                layer = linear.pack(layer)
            own, ours = _race(states, layer, gelu)
            rate = 2e-9 * count * inputs * outputs
            label = f"{name}, {str(dtype).removeprefix('torch.')}"
            rows[label] = {"PyTorch GFLOP/s": rate / own, "ours GFLOP/s": rate / ours}
            print(f"{label:40} {rate / own:7.0f} -> {rate / ours:7.0f} GFLOP/s")
    save("linear-layers", "python -m benchmarks.linear_layers", {"layers": rows})


def _race(states: Tensor, layer: linear.Affine, gelu: bool) -> tuple[float, float]:
    def plain() -> Tensor:
        out = functional.linear(states, layer.weight, layer.bias)
        return functional.gelu(out) if gelu else out

    def ours() -> Tensor:
        return linear.linear(states, layer, gelu=gelu)

    times: dict[Callable[[], Tensor], list[float]] = {plain: [], ours: []}
    for turn in range(12):
        for run, taken in times.items():
            began = time.perf_counter()
            run()
            if turn > 1:
                taken.append(time.perf_counter() - began)
    return median(times[plain]), median(times[ours])


if __name__ == "__main__":
    main()
