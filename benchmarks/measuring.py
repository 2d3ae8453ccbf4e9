"""Contestants in turn, medians, ratios, and a file with what was measured where."""

import argparse
import json
import os
import platform
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import torch

RESULTS = Path(__file__).parent / "results"


Prepare = Callable[[], Callable[[], int]]
"""Loads what a contestant needs; gives what is timed, which returns the tokens that it wrote."""


@dataclass
class Timing:
    """Seconds of each turn of a contestant, warm-up left out."""

    seconds: list[float]
    written: int

    @property
    def median(self) -> float:
        return median(self.seconds)


def race(contestants: Mapping[str, Prepare], turns: int) -> dict[str, Timing]:
    """Time the contestants in turn, so that what else the machine does hits all alike."""
    timings = {name: Timing([], 0) for name in contestants}
    with ready(contestants) as lines:
        for turn in range(turns + 1):
            for name, line in lines.items():
                seconds, timings[name].written = take_turn(line)
                if turn:  # the first one warms up
                    timings[name].seconds.append(seconds)
                print(f"  {name}: {seconds:.2f} s", flush=True)
    return timings


@contextmanager
def ready(
    contestants: Mapping[str, Prepare], environments: Mapping[str, Mapping[str, str]] | None = None
) -> Iterator[dict[str, Connection]]:
    """Lines to contestants that are prepared, each in a process of its own.

    What one sets up for itself is no help to another. `environments` has variables that some are
    started with.
    """
    context = get_context("spawn")
    with ExitStack() as open_lines:  # a process ends when its line is closed
        lines: dict[str, Connection] = {}
        for name, prepare in contestants.items():
            line, other = context.Pipe()
            lines[name] = open_lines.enter_context(line)
            with patch.dict(os.environ, (environments or {}).get(name, {})):
                # no daemon: those may not have readers of their own
                context.Process(target=_serve, args=(prepare, other)).start()
            other.close()
            line.recv()  # one after the other: loading takes memory too
        yield lines


def take_turn(line: Connection) -> tuple[float, int]:
    """The seconds that a contestant took, and the tokens that it wrote."""
    line.send(None)
    seconds, written = line.recv()
    return seconds, written


def _serve(prepare: Prepare, line: Connection) -> None:
    run = prepare()
    line.send(None)
    while True:
        try:
            line.recv()
        except EOFError:
            return
        began = time.perf_counter()
        written = run()
        synchronise()
        line.send((time.perf_counter() - began, written))


def synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def parser(module: str, doc: str | None) -> argparse.ArgumentParser:
    """The command line of a benchmark; its help is the module's docstring."""
    return argparse.ArgumentParser(
        prog=f"python -m benchmarks.{module}",
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_cache(parser: argparse.ArgumentParser) -> None:
    """`--cache`."""
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path.home() / ".cache" / "florence-annotate",
        help="folder for checkpoints with random weights, 0.9 GB for base and 3 GB for large, and "
        "for images [default: %(default)s]",
    )


def save(name: str, command: str, content: Mapping[str, Any]) -> Path:
    """Keep a result with the machine, the versions and the commit."""
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{name}.json"
    whole = {"command": command, **setting(), **content}
    file.write_text(json.dumps(whole, indent=2) + "\n")
    print(f"measured on {processor()}, kept in {file}")
    return file


def setting() -> dict[str, Any]:
    """Machine, versions, commit."""
    git = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return {
        "machine": {
            "processor": processor(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "transformers", "florence-annotate")},
        },
        "commit": git.stdout.strip() or None,
    }


def processor() -> str:
    """The processor's name, and what tells apart those that share it: a ratio holds for one kind.

    Virtual machines often say no more than "AMD EPYC"; family and model tell Zen 4 from Zen 5.
    """
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    extensions = [k for k in ("avx512_f", "avx512_bf16", "amx_bf16") if capabilities.get(k)]
    name = str(capabilities.get("cpu_name", platform.machine()))
    if (cpuinfo := Path("/proc/cpuinfo")).is_file():
        fields = dict(re.findall(r"^(cpu family|model)\s*: (\d+)$", cpuinfo.read_text(), re.M))
        name += "".join(f" {field} {value}" for field, value in fields.items())
        if name.startswith("AMD") and (zen := _zen(fields, extensions)):
            name += f" ({zen})"
    return " ".join([name, *extensions])


def _zen(fields: Mapping[str, str], extensions: Sequence[str]) -> str | None:
    """Family 25 is Zen 3 too, which has no AVX-512."""
    if fields.get("cpu family") == "25":
        return "Zen 4" if extensions else "Zen 3"
    return {"26": "Zen 5"}.get(fields.get("cpu family", ""))
