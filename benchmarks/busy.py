"""What other work on the machine leaves of the speed, by the threads and how they wait.

    python -m benchmarks.busy [embedded | tower] ...

The whole demo with the embedded checkpoint, and the vision tower of a model of the base size
(random weights), beside 0, 1 and 2 processes that do nothing but count. What the command does by
default runs against fixed choices: one thread, or one a core; threads that wait for each other
sleeping, or spinning, as PyTorch has them by itself. Each lives in a process of its own; all take
turns, and in each turn all loads.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import torch

from benchmarks.measuring import Prepare, add_cache, parser, processor, ready, save, take_turn
from benchmarks.random_models import SIDE, checkpoint_folder
from florence_annotate import cores
from florence_annotate.checkpoints import checkpoint as checkpoints
from florence_annotate.cli.progress import ScreenReporter
from florence_annotate.config import job_spec
from florence_annotate.jobs.job import Job
from florence_annotate.model import threads
from florence_annotate.model.device import resolve_dtype
from florence_annotate.model.florence import Florence
from florence_annotate.shapes.demo import write_demo

LOADS = (0, 1, 2)
"""Other processes that are busy."""
SLEEPING = {"OMP_WAIT_POLICY": "PASSIVE"}
"""As `florence_annotate.cli.main` has it."""
DEFAULT = "default"
BAR = 1.3
"""The default's time over that of the best fixed choice, beside each load."""
BAR_ALONE = 1.03
"""The default's time over that of PyTorch's own choice, alone."""


HOPELESS = 3.0
"""What took so many times the fastest's time beside a load has no second turn there."""


@dataclass(frozen=True)
class Work:
    """What a contestant is to do; what it needs to be loaded in a process of its own."""

    threads: int | Literal["auto"]
    images: Path
    """A folder of images, for the demo."""
    folder: Path
    """A checkpoint, for the tower."""
    count: int
    """Images for the tower."""

    def embedded(self) -> Callable[[], int]:
        """`run IMAGES --model shapes`, from the settings to the written dataset."""
        spec = job_spec.build(
            {"sources": (str(self.images),), "model": "shapes", "threads": self.threads}
        )

        def run() -> int:
            with TemporaryDirectory() as out:
                Job(spec, Path(out) / "dataset").run(reporter=ScreenReporter(quiet=True))
            return 0

        return run

    def tower(self) -> Callable[[], int]:
        """The images' features, in the number format of this processor."""
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
    own = f"{most} threads, spinning"
    choices: dict[str, tuple[int | Literal["auto"], bool]] = {
        DEFAULT: ("auto", True),
        own: (most, False),
        f"{most} threads, sleeping": (most, True),
        "1 thread": (1, True),  # has nobody to wait for
    }
    contestants: dict[str, Prepare] = {
        choice: getattr(Work(number, images, folder, count), name)
        for choice, (number, _) in choices.items()
    }
    asleep = {choice: SLEEPING for choice, (_, sleeps) in choices.items() if sleeps}
    seconds: dict[int, dict[str, list[float]]] = {
        load: {choice: [] for choice in choices} for load in LOADS
    }
    with ready(contestants, asleep) as lines:
        for line in lines.values():
            take_turn(line)  # warms up
        for turn in range(turns):
            for load, by_choice in seconds.items():
                fastest = min((taken[0] for taken in by_choice.values() if taken), default=0.0)
                with others(load):
                    for choice, taken in by_choice.items():
                        if turn and taken[0] > HOPELESS * fastest:
                            continue
                        taken.append(take_turn(lines[choice])[0])
                        print(f"  beside {load}: {choice}: {taken[-1]:.2f} s", flush=True)
    return {"seconds": seconds, "default over the best": _compare(name, seconds, own)}


def _compare(
    name: str, seconds: dict[int, dict[str, list[float]]], own: str
) -> dict[int, dict[str, Any]]:
    """The default's medians, over those of the best fixed choice and of PyTorch's own."""
    compared: dict[int, dict[str, Any]] = {}
    for load, by_choice in seconds.items():
        medians = {choice: median(values) for choice, values in by_choice.items()}
        default = medians.pop(DEFAULT)
        best = min(medians, key=lambda choice: medians[choice])
        compared[load] = {
            "best": best,
            "ratio": default / medians[best],
            "bar": BAR,
            "ratio to before": default / medians[own],
            **({} if load else {"bar to before": BAR_ALONE}),
        }
        listed = "; ".join(f"{choice} {value:.2f} s" for choice, value in medians.items())
        print(f"{name} beside {load} others: default {default:.2f} s; {listed}")
        print(
            f"  default over the best ({best}): {default / medians[best]:.2f} (bar {BAR}); over "
            f"before: {default / medians[own]:.2f}{'' if load else f' (bar {BAR_ALONE})'}, on "
            f"{processor()}"
        )
    return compared


@contextmanager
def others(count: int) -> Iterator[None]:
    """So many processes that keep a core busy each, as long as it is open."""
    with ExitStack() as running:
        for _ in range(count):
            process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            running.callback(process.wait)
            running.callback(process.kill)
        yield


def main() -> None:
    options = parser("busy", __doc__)
    options.add_argument("works", nargs="*", metavar="embedded|tower", help="[default: both]")
    options.add_argument("--turns", type=int, default=7, help="of each [default: %(default)s]")
    options.add_argument("--demo", type=int, default=40, help="images of the demo [%(default)s]")
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
