"""What it costs the decode loop to keep how sure each location is.

    python -m benchmarks.spreads

Random weights of the base size, 8 questions at once, 64 tokens each by one beam and by three, with
spreads and without, in turn. The bar: 2 % of the loop's time.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.measuring import add_cache, parser, race, save
from benchmarks.random_models import checkpoint_folder
from florence_annotate.checkpoints import checkpoint as checkpoints
from florence_annotate.model.florence import Florence
from florence_annotate.model.generation.logit_filters import Rules
from florence_annotate.model.generation.loop import Decoding, Encoded
from florence_annotate.types import Generation

ROWS, TOKENS, TURNS = 8, 64, 9
SOURCE = 590
"""Encoder states of a question: those of an image, and a short prompt."""
NO_TOKEN = -1
BAR = 1.02


def prepare(cache: Path, beams: int, *, keeps: bool) -> Callable[[], int]:
    """One side of the race."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    folder = checkpoint_folder("base", cache)
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    model = Florence(checkpoints.find(str(folder)), torch.device(device), dtype, "sdpa")
    torch.manual_seed(0)
    width = model.network.config.text_config.d_model
    states = torch.randn(ROWS, SOURCE, width, dtype=dtype, device=device)
    mask = torch.ones(states.shape[:2], dtype=torch.bool, device=device)
    generation = Generation(TOKENS, beams, 0, retry_truncated=False)
    first = model.vocabulary.first_location if keeps else None
    rules = Rules(2, NO_TOKEN, 0, None, generation, first)

    @torch.inference_mode()
    def run() -> int:
        decoding = Decoding[int](
            model.decoder, rules, ROWS, TOKENS, lambda tickets: Encoded(states, mask, [0] * ROWS)
        )
        for ticket in range(ROWS):
            decoding.ask(ticket)
        written = 0
        while found := decoding.answers():
            written += sum(len(decoded.tokens) for _, decoded in found)
        return written

    return run


def main() -> int:
    options = parser("spreads", __doc__)
    add_cache(options)
    cache: Path = options.parse_args().cache
    content: dict[str, Any] = {}
    ratios = []
    for beams in (1, 3):
        contestants = {
            name: partial(prepare, cache, beams, keeps=keeps)
            for name, keeps in (("without", False), ("with", True))
        }
        timings = race(contestants, TURNS)
        ratio = timings["with"].median / timings["without"].median
        print(f"{beams} beams: with spreads {ratio:.3f} of the time without")
        ratios.append(ratio)
        content[f"{beams} beams"] = {
            "seconds": {name: timing.seconds for name, timing in timings.items()},
            "ratio": ratio,
        }
    save("spreads", "python -m benchmarks.spreads", {"bar": BAR, **content})
    return 0 if max(ratios) <= BAR else 1


if __name__ == "__main__":
    raise SystemExit(main())
