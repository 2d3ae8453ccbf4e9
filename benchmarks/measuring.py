"""Contestants in turn, medians, ratios, and a file with what was measured where."""

import json
import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import torch

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Timing:
    """Seconds of each turn of a contestant, warm-up left out."""

    seconds: list[float]

    @property
    def median(self) -> float:
        return median(self.seconds)


def race(contestants: Mapping[str, Callable[[], object]], turns: int) -> dict[str, Timing]:
    """Time the contestants in turn, so that what else the machine does hits all alike."""
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(turns + 1):
        for name, run in contestants.items():
            began = time.perf_counter()
            run()
            synchronise()
            if turn:  # the first one warms up
                taken[name].append(time.perf_counter() - began)
            print(f"  {name}: {time.perf_counter() - began:.2f} s", flush=True)
    return {name: Timing(seconds) for name, seconds in taken.items()}


def synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def save(name: str, command: str, content: Mapping[str, Any]) -> Path:
    """Keep a result with the machine, the versions and the commit."""
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{name}.json"
    whole = {"command": command, **setting(), **content}
    file.write_text(json.dumps(whole, indent=2) + "\n")
    print(f"kept in {file}")
    return file


def setting() -> dict[str, Any]:
    """Machine, versions, commit."""
    git = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return {
        "machine": {
            "processor": _processor(),
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


def _processor() -> str:
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    extensions = [k for k in ("avx512_f", "avx512_bf16", "amx_bf16") if capabilities.get(k)]
    return " ".join([str(capabilities.get("cpu_name", platform.machine())), *extensions])
