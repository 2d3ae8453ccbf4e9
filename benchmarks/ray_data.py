"""What Ray Data makes of a row that kills its process: why `engines/ray` has actors of its own.

    python -m benchmarks.ray_data

512 rows in blocks of 64, of which one ends the process that it is given to; a pool of two actors.
With the settings that Ray Data has by itself, and with retries that are bounded and blocks that may
fail.
"""

import multiprocessing
import os
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.measuring import parser, save

ROWS, BLOCKS, KILLER = 512, 8, 100
PATIENCE = 60.0
"""Seconds."""
BOUNDED = {"max_restarts": 3, "max_task_retries": 1}


def measure(bounds: dict[str, int]) -> dict[str, Any]:
    """Seconds, rows that came through, and processes that were started for it."""
    near, far = multiprocessing.get_context("spawn").Pipe()
    with TemporaryDirectory() as folder:
        starts = Path(folder) / "starts"
        child = multiprocessing.get_context("spawn").Process(
            target=_run, args=(far, starts, bounds)
        )
        child.start()
        far.close()
        came, begun, has_ended = 0, time.monotonic(), False
        with suppress(EOFError):
            while near.poll(PATIENCE):
                came, has_ended = near.recv()
        seconds = time.monotonic() - begun
        child.kill()
        child.join()
        return {
            "ended": has_ended,
            "seconds": round(seconds, 1),
            "rows": came,
            "rows_asked": ROWS,
            "processes": len(starts.read_text().split()),
        }


def _run(line: Connection, starts: Path, bounds: dict[str, int]) -> None:
    from florence_annotate.engines.ray.session import Session

    session = Session(None)
    import ray.data
    from ray.data import ActorPoolStrategy, DataContext

    context = DataContext.get_current()
    context.enable_progress_bars = False
    if bounds:
        context.max_errored_blocks = -1

    class Work:
        def __init__(self) -> None:
            with starts.open("a") as file:
                file.write(f"{os.getpid()}\n")

        def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
            if KILLER in batch["id"]:
                os._exit(1)
            return batch

    rows = ray.data.range(ROWS, override_num_blocks=BLOCKS).map_batches(
        Work, batch_size=None, compute=ActorPoolStrategy(size=2), num_cpus=0.5, **bounds
    )
    came = 0
    for batch in rows.iter_batches(batch_size=None):
        came += len(batch["id"])
        line.send((came, False))
    line.send((came, True))
    session.close()


def main() -> None:
    parser("ray_data", __doc__).parse_args()
    results = {"as it is": measure({}), "bounded": measure(BOUNDED)}
    for name, result in results.items():
        print(name, result)
    save("ray-data", "python -m benchmarks.ray_data", {"patience": PATIENCE, "results": results})


if __name__ == "__main__":
    main()
