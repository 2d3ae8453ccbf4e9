"""The share of a job's time that is not the model's, were the model of the base size.

    python -m benchmarks.outside

A whole job (walking, journal, export of YOLO and COCO) on 500 JPEGs of 640x480 with the embedded
checkpoint, the model's part of it taken out by the clock; then what reading an image at the base
model's 768 pixels takes; held against the time of the base model that `end_to_end` measured. The
two are added as if nothing ever ran side by side.
"""

import json
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from benchmarks.contestants import paint_files
from benchmarks.measuring import RESULTS, parser, save
from benchmarks.random_models import SIDE
from florence_annotate.cli.progress import ScreenReporter
from florence_annotate.config import job_spec
from florence_annotate.images.loading import LoadingOptions, load
from florence_annotate.jobs.job import Job
from florence_annotate.model.florence import Florence, FlorenceAnswering
from florence_annotate.types import ImageRef

IMAGES = 500
BAR = 0.05


def main() -> None:
    parser("outside", __doc__).parse_args()
    base = json.loads((RESULTS / "end-to-end-one.json").read_text())
    model_seconds = sorted(base["seconds"]["ours, 1 beam"])[0] / base["pictures"]
    with TemporaryDirectory() as folder:
        files = paint_files(Path(folder) / "in", IMAGES)
        spec = job_spec.build({"sources": (str(files[0].parent),), "model": "shapes"})
        job = Job(spec, Path(folder) / "out")
        began = time.perf_counter()
        with Stopwatch() as inside:
            finished = job.run(reporter=ScreenReporter(quiet=True))
        whole = time.perf_counter() - began
        options = LoadingOptions(SIDE, 1, 0)
        began = time.perf_counter()
        for file in files[:100]:
            load(ImageRef(file.name, bytes(file), file.stat().st_size, 0), options)
        reading = (time.perf_counter() - began) / 100
    waiting = finished.summary["run"]["seconds_waiting_for_pictures"]
    around = (whole - inside.seconds - waiting) / IMAGES
    share = (around + reading) / (around + reading + model_seconds)
    print(
        f"an image: {around * 1e3:.1f} ms around the model, {reading * 1e3:.1f} ms to read it, "
        f"{model_seconds * 1e3:.0f} ms in a model of the base size: {share:.2%} outside"
    )
    content = {
        "pictures": IMAGES,
        "milliseconds a picture": {
            "around the model": around * 1e3,
            "reading, one process": reading * 1e3,
            "model of the base size": model_seconds * 1e3,
        },
        "share outside": share,
        "bar": BAR,
    }
    save("outside", "python -m benchmarks.outside", content)


class Stopwatch:
    """Counts the seconds spent in the model while it is open, loading included."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._patches = [
            patch.object(Florence, "__init__", self._timed(Florence.__init__)),
            patch.object(Florence, "encode", self._timed(Florence.encode)),
            patch.object(FlorenceAnswering, "answers", self._timed(FlorenceAnswering.answers)),
        ]

    def _timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def run(*arguments: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                self.seconds += time.perf_counter() - began

        return run

    def __enter__(self) -> "Stopwatch":
        for each in self._patches:
            each.start()
        return self

    def __exit__(self, *error: object) -> None:
        for each in self._patches:
            each.stop()


if __name__ == "__main__":
    main()
