"""The vision tower of the base model, plain and compiled.

python -m benchmarks.compiled
"""

import time
from typing import Any

import torch

from benchmarks.contestants import Ours
from benchmarks.measuring import add_cache, parser, save, synchronise
from benchmarks.random_models import SIDE, checkpoint_folder

IMAGES, TURNS = 4, 4


def main() -> None:
    options = parser("compiled", __doc__)
    add_cache(options)
    folder = checkpoint_folder("base", options.parse_args().cache)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rows: dict[str, Any] = {}
    for dtype in (torch.float32, torch.bfloat16):
        model = Ours(folder, device, dtype).model
        shape = (IMAGES, 3, SIDE, SIDE)
        pixels = torch.randint(0, 256, shape, dtype=torch.uint8, device=device)

        def seconds(model: Any = model, pixels: torch.Tensor = pixels) -> float:
            taken = []
            for _ in range(1 + TURNS):
                synchronise()
                began = time.perf_counter()
                model.encode_pixels(pixels)
                synchronise()
                taken.append(time.perf_counter() - began)
            return min(taken[1:]) / IMAGES

        plain = seconds()
        began = time.perf_counter()
        model.compile_tower(IMAGES)
        warm_up = time.perf_counter() - began
        name = str(dtype).removeprefix("torch.")
        rows[name] = {"plain": plain, "compiled": seconds(), "warm-up": warm_up}
        print(f"{name}: {rows[name]} (seconds; an image)")
    save("compiled", "python -m benchmarks.compiled", {"seconds": rows})


if __name__ == "__main__":
    main()
