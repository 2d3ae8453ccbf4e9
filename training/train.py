"""The training command: a small Florence-2 that reads painted scenes.

`python -m training.train --out DIR` paints the scenes once into `DIR/scenes` and leaves the model
in `DIR/checkpoint`. Interrupted, the same command goes on from the last saved state; with more
`--steps` it takes a finished run further. `--measure FOLDER` trains nothing, and prints how good a
checkpoint is. The embedded checkpoint's own README says how it was made.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import torch

from training import asking, checkpoint, tokenizer
from training.batches import draw, paint_pools
from training.learning import Options, Run
from training.validation import validate

FIRST_SEED = 1_500_000
"""Of the scenes that a model is validated on."""


def new_run(options: Options) -> Run:
    """A run at its start."""
    words = tokenizer.build()
    return Run.start(options, checkpoint.new_model(words), words)


def train(options: Options) -> dict[str, float]:
    """Train to the last step, from a saved state if there is one; gives the last figures."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    scenes = options.out / "scenes"
    pools = paint_pools(scenes, options.easy_scenes, options.scenes, options.threads)
    run = new_run(options)
    state = options.out / "state.safetensors"
    if state.exists():
        run.load_state(state)
    parameters = sum(p.numel() for p in run.model.parameters())
    print(f"{parameters:,} parameters, from step {run.step} to {options.steps}", flush=True)
    figures: dict[str, float] = {}
    saved = time.monotonic()
    sums = [0.0, 0.0, 0.0]
    while run.step < options.steps:
        batch = draw(
            pools,
            seed=options.seed,
            step=run.step,
            size=options.batch,
            maturity=run.maturity(),
        )
        losses = run.train_step(batch)
        sums = [a + b for a, b in zip(sums, losses, strict=True)]
        if run.step % 100 == 0:
            text, location, cells = (s / 100 for s in sums)
            print(
                f"step {run.step}: text {text:.4f} location {location:.4f} cells {cells:.4f}",
                flush=True,
            )
            sums = [0.0, 0.0, 0.0]
        done = run.step == options.steps
        if done or time.monotonic() - saved > options.save_seconds:
            run.save_state(state)
            checkpoint.save(options.out / "checkpoint", run.model, run.words)
            figures = measure(options.out / "checkpoint", options.validate_scenes)
            print(f"step {run.step}: {json.dumps(figures)}", flush=True)
            saved = time.monotonic()
    return figures


def measure(
    folder: Path, count: int, first_seed: int = FIRST_SEED, *, phrases: bool = False
) -> dict[str, float]:
    """How good a saved checkpoint is on scenes that it was never trained on: see `validate`."""
    figures = validate(asking.load(folder), first_seed, count, phrases=phrases)
    return {name: round(value, 4) for name, value in figures.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; see above."""
    parser = argparse.ArgumentParser(prog="python -m training.train")
    parser.add_argument("--out", type=Path, help="folder of the run")
    for field in fields(Options)[1:]:
        name = "--" + field.name.replace("_", "-")
        kind = Path if field.name == "start" else type(field.default)
        parser.add_argument(name, type=kind, default=field.default)
    measuring = parser.add_argument_group("measuring instead of training")
    measuring.add_argument("--measure", type=Path, help="a checkpoint folder: no training is done")
    measuring.add_argument("--first-seed", type=int, default=FIRST_SEED)
    measuring.add_argument("--count", type=int, default=500)
    given = vars(parser.parse_args(arguments))
    folder, first_seed, count = (given.pop(k) for k in ("measure", "first_seed", "count"))
    if folder:
        torch.set_num_threads(given["threads"])
        print(json.dumps(measure(folder, count, first_seed, phrases=True)))
    elif given["out"] is None:
        parser.error("--out is needed: the folder of the run")
    else:
        train(Options(**given))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
