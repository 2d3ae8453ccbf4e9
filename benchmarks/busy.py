"""What other work on the machine leaves of the speed, by the threads and how they wait.

    python -m benchmarks.busy [embedded | tower] ...

The demo with the embedded checkpoint, and the vision tower of a model of the base size with random
weights, beside 0, 1 and 2 processes that do nothing but count. What the command does by
default runs against fixed choices: one thread, or one a core; threads that wait for each other
sleeping, or spinning, as PyTorch has them by itself. OpenVINO's tower takes part where it is
installed. Each lives in a process of its own; all take turns, and in each turn all loads.
"""

import multiprocessing
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import torch

from benchmarks import openvino_tower
from benchmarks.contestants import Ours
from benchmarks.measuring import Prepare, add_cache, parser, processor, ready, save, take_turn
from benchmarks.random_models import SIDE, checkpoint_folder
from florence_annotate import cores
from florence_annotate.checkpoints import checkpoint as checkpoints
from florence_annotate.model import threads
from florence_annotate.model.device import resolve_dtype
from florence_annotate.model.florence import Florence
from florence_annotate.shapes import CHECKPOINT
from florence_annotate.shapes.demo import write_demo
from florence_annotate.tasks import OD
from florence_annotate.types import Question

LOADS = (0, 1, 2)
"""Other processes that are busy."""
SLEEPING = {"OMP_WAIT_POLICY": "PASSIVE"}
"""As `florence_annotate.cli.main` has it."""
SPINNING_BRIEFLY = {"GOMP_SPINCOUNT": "300"}
"""Looks, of some nanoseconds each, before it sleeps; 300,000 by itself. A name of GCC's OpenMP."""
DEFAULT = "default"
BEFORE = "a thread a core, spinning"
"""What PyTorch does by itself."""
BAR = 1.3
"""The default's time over that of the best fixed choice, beside each load."""
BAR_ALONE = 1.03
"""The default's time over that of before, alone."""


HOPELESS = 3.0
"""What took so many times the fastest's time beside a load has no second turn there."""


@dataclass(frozen=True)
class Work:
    """What a contestant is to do; what it needs to be loaded in a process of its own."""

    threads: int | Literal["auto"]
    images: Path
    """The demo's folder."""
    folder: Path
    """The tower's checkpoint."""
    count: int
    """The tower's images."""

    def embedded(self) -> Callable[[], int]:
        """From the demo's files to the answers of the embedded checkpoint, as a job gets them."""
        # readers start as a job's do, and not as this process did, with all imports anew
        multiprocessing.set_start_method(None, force=True)
        threads.settle(self.threads, checkpoints.find("shapes"))
        ours = Ours(CHECKPOINT, "cpu", torch.float32)
        files = sorted(self.images.glob("*.jpg"))
        return lambda: ours.run(files, [Question(OD)], beams=1, tokens=512, batch_size=8)

    def tower(self) -> Callable[[], int]:
        """From pixels to features, in the number format that a job takes on this processor."""
        checkpoint, device = checkpoints.find(str(self.folder)), torch.device("cpu")
        threads.settle(self.threads, checkpoint)
        model = Florence(
            checkpoint, device, resolve_dtype("auto", device, is_embedded=False), "sdpa"
        )
        noise = np.random.default_rng(0).integers(0, 256, (self.count, 3, SIDE, SIDE), np.uint8)

        def run() -> int:
            model.encode(list(noise))
            return 0

        return run


def measure(name: str, images: Path, folder: Path, count: int, turns: int) -> dict[str, Any]:
    """Let all contestants do a work beside all loads; print and return what it took."""
    most = cores.available()
    fixed_choices: dict[str, tuple[int, Mapping[str, str]]] = {
        BEFORE: (most, {}),
        f"{most} threads, sleeping": (most, SLEEPING),
        f"{most} threads, spinning briefly": (most, SPINNING_BRIEFLY),
        "1 thread": (1, SLEEPING),  # has nobody to wait for
    }
    # what the default comes to does not run against itself: two processes that do the same were up
    # to a fifth apart
    default = {"embedded": (1, SLEEPING), "tower": (most, SLEEPING)}[name]
    choices: dict[str, tuple[int | Literal["auto"], Mapping[str, str]]] = {
        **{choice: setting for choice, setting in fixed_choices.items() if setting != default},
        DEFAULT: ("auto", SLEEPING),
    }
    contestants: dict[str, Prepare] = {
        choice: getattr(Work(number, images, folder, count), name)
        for choice, (number, _) in choices.items()
    }
    if name == "tower":
        contestants |= openvino_tower.contestants(folder, count)
    seconds: dict[int, dict[str, list[float]]] = {
        load: {contestant: [] for contestant in contestants} for load in LOADS
    }
    environments = {choice: variables for choice, (_, variables) in choices.items()}
    with ready(contestants, environments) as lines:
        for line in lines.values():
            take_turn(line)  # warms up
        for turn in range(turns):
            for load, by_contestant in seconds.items():
                fastest = min((taken[0] for taken in by_contestant.values() if taken), default=0.0)
                first = turn % len(lines)  # nobody always is
                order = [*by_contestant][first:] + [*by_contestant][:first]
                with others(load):
                    for contestant in order:
                        taken = by_contestant[contestant]
                        if turn and taken[0] > HOPELESS * fastest:
                            continue
                        taken.append(take_turn(lines[contestant])[0])
                        print(f"  beside {load}: {contestant}: {taken[-1]:.2f} s", flush=True)
    medians = {
        load: {contestant: median(taken) for contestant, taken in by_contestant.items()}
        for load, by_contestant in seconds.items()
    }
    fixed = [choice for choice in choices if choice != DEFAULT]
    compared = {load: _compare(found, fixed, alone=not load) for load, found in medians.items()}
    for load, found in medians.items():
        print(f"{name}, beside {load} others, on {processor()}:")
        for contestant, middle in found.items():
            times = middle / medians[0][contestant]
            print(f"  {contestant:32} {middle:6.2f} s, {times:5.2f} times what it takes alone")
        print("  " + ", ".join(f"{key}: {value}" for key, value in compared[load].items()))
    return {"seconds": seconds, "default": compared}


def _compare(
    medians: Mapping[str, float], fixed: Collection[str], *, alone: bool
) -> dict[str, str | float]:
    """The default's time over that of the best fixed choice, and over that of before."""
    best = min(fixed, key=medians.__getitem__)
    over_best, over_before = (medians[DEFAULT] / medians[other] for other in (best, BEFORE))
    bars = {"bar": BAR} | ({"bar to before": BAR_ALONE} if alone else {})
    ratios = {"over the best": round(over_best, 3), "over before": round(over_before, 3)}
    return {"best": best, **ratios, **bars}


@contextmanager
def others(count: int) -> Iterator[None]:
    """So many processes that keep a core busy each, as long as it is open."""
    with ExitStack() as running:
        for _ in range(count):
            process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            running.callback(process.wait)
            running.callback(process.kill)
        time.sleep(1 if count else 0)  # what is new is favoured
        yield


def main() -> None:
    options = parser("busy", __doc__)
    options.add_argument("works", nargs="*", metavar="embedded|tower", help="[default: both]")
    options.add_argument("--turns", type=int, default=5, help="of each [default: %(default)s]")
    options.add_argument("--demo", type=int, default=60, help="images of the demo [%(default)s]")
    options.add_argument("--tower", type=int, default=2, help="images for the tower [%(default)s]")
    add_cache(options)
    given = options.parse_args()
    works = given.works or ["embedded", "tower"]
    if unknown := set(works) - {"embedded", "tower"}:
        options.error(f"there is no work {', '.join(sorted(unknown))}")
    with TemporaryDirectory() as temporary:
        images = Path(temporary)
        write_demo(images, given.demo, 2_000_000)
        folder = checkpoint_folder("base", given.cache)
        for name in works:
            found = measure(name, images, folder, given.tower, given.turns)
            size = {"embedded": given.demo, "tower": given.tower}[name]
            command = f"python -m benchmarks.busy {name} --turns {given.turns}"
            save(f"busy-{name}", command, {"pictures": size, **found})


if __name__ == "__main__":
    main()
