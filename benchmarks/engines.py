"""What several devices gain, and what the driver of them can feed at most.

    python -m benchmarks.engines [sleeping | feeding | embedded] ...

A stand-in for a device, which sleeps for each image and then hands over a record as the embedded
checkpoint writes them, on 1, 2, 4 and 8 actors of Ray on this machine; the same without sleep, for
the most that one driver takes; and the embedded checkpoint itself on the local engine and on 1 and
2 actors. All through the journal, as a job's driver goes: rates are measured from the first record
on, for the seconds that are asked for, and the driver's time is the CPU's, of all its threads.
"""

import itertools
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from benchmarks.contestants import paint_files
from benchmarks.measuring import parser, save
from florence_annotate.config import job_spec
from florence_annotate.engines.ray import place
from florence_annotate.engines.ray.worker import Exchange, Prepared, Worker
from florence_annotate.images.sources import Sources
from florence_annotate.jobs import runner
from florence_annotate.jobs.setup import Setup
from florence_annotate.journal import Journal
from florence_annotate.types import Failure, ImageRef, Record

SLEEP = 0.02
"""Seconds an image: 50 a second from each actor."""
BATCH = 8
SCENES = 64
COUNTS = (1, 2, 4, 8)
PARTS = ["sleeping", "feeding", "embedded"]


class Sleeper(Worker):
    """An actor whose device only takes time."""

    def __init__(self, samples: Sequence[Record], seconds: float, *given: Any) -> None:
        super().__init__(*given)
        self._samples, self._seconds = itertools.cycle(samples), seconds

    def _annotate(self) -> None:
        self._outbox.put(Prepared((), 2 * BATCH))
        while True:
            refs = self._until_none_is_left(self._inbox.get())
            while batch := list(itertools.islice(refs, BATCH)):
                time.sleep(self._seconds * len(batch))
                records = [replace(next(self._samples), ref=ref) for ref in batch]
                self._outbox.put(Exchange(list(records), 0.0, 0))


@dataclass
class Clock:
    """A `runner.Progress` that ends the run when it was measured for long enough."""

    seconds: float
    started: float
    start_seconds: float = 0.0
    """Until the first record."""
    begun: float = 0.0
    cpu: float = 0.0
    records: int = 0
    measured: float = 0.0

    def note(self, text: str) -> None:
        pass

    def advance(self, outcomes: list[Record | Failure]) -> None:
        now = time.perf_counter()
        if not outcomes:
            return
        if not self.begun:
            self.begun, self.cpu = now, time.process_time()
            self.start_seconds = now - self.started
            return  # what came with the first was made before it
        self.records += len(outcomes)
        self.measured = now - self.begun
        if self.measured >= self.seconds:
            raise _Enough

    def result(self) -> dict[str, float]:
        return {
            "records_a_second": round(self.records / self.measured, 1),
            "ms_of_the_driver": round(1000 * (time.process_time() - self.cpu) / self.records, 3),
            "start": round(self.start_seconds, 1),
            "records": self.records,
            "seconds": round(self.measured, 1),
        }


class _Enough(Exception):  # noqa: N818 - it is no error
    pass


def measure(setup: Setup, refs: Sequence[ImageRef], seconds: float) -> dict[str, float]:
    """One engine, from its start to its end, for so many seconds from its first record on."""
    with TemporaryDirectory() as folder, Journal.create(Path(folder)) as journal:
        journal.selection.note(refs)
        journal.selection.take_over()
        run = journal.runs.begin(job_spec.dump(setup.spec))
        clock = Clock(seconds, time.perf_counter())
        with closing(setup.place), suppress(_Enough):
            started = setup.start([], lambda text: None)
            pending = journal.selection.pending(retry_failed=False)
            runner.run(started.engine, pending, journal, run, clock)
            raise SystemExit(f"all {len(refs)} images were done before {seconds:g} s were over")
    return clock.result()


def sleeping(samples: Sequence[Record], seconds: float) -> AbstractContextManager[Any]:
    """Within, actors have a stand-in for their device."""

    class Given(Sleeper):
        def __init__(self, *given: Any) -> None:
            super().__init__(samples, seconds, *given)

    return patch.object(place, "Worker", Given)


def setup_of(images: Path, **settings: Any) -> Setup:
    spec = job_spec.build(
        {"sources": (str(images),), "model": "shapes", "canary": False, **settings}
    )
    return Setup.of(spec, spec.request())


def repeated(images: Path, count: int) -> list[ImageRef]:
    """So many references to the images, each with a key of its own."""
    found = itertools.cycle(Sources((str(images),), frozenset({".jpg"})))
    return [
        ref._replace(key=f"{index:07}.jpg")
        for index, ref in enumerate(itertools.islice(found, count))
    ]


def records_of(images: Path) -> list[Record]:
    """What the embedded checkpoint says of each image."""
    engine = setup_of(images).start([], lambda text: None).engine
    outcomes = [one for some in engine.run(repeated(images, SCENES)) for one in some]
    return [one for one in outcomes if isinstance(one, Record)]


def judge(results: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """What was asked for: figure → what it came to, and the bar."""
    rates = {actors: one["records_a_second"] for actors, one in results["sleeping"].items()}
    everywhere = [*results["sleeping"].values(), results["feeding"]]
    return {
        "4 actors over 1": (round(rates[4] / rates[1], 2), 3.7),
        "8 actors over 1": (round(rates[8] / rates[1], 2), 7.0),
        "most ms of the driver a record": (max(one["ms_of_the_driver"] for one in everywhere), 2.0),
        "slowest start": (max(one["start"] for one in everywhere), 15.0),
    }


def main() -> None:
    arguments = parser("engines", __doc__)
    arguments.add_argument("parts", nargs="*", default=PARTS)
    arguments.add_argument("--seconds", type=float, default=60.0, help="[default: %(default)s]")
    given = arguments.parse_args()
    with TemporaryDirectory() as folder:
        images = paint_files(Path(folder) / "in", SCENES)[0].parent
        samples = records_of(images)

        def run(name: str, most_a_second: float, **settings: Any) -> dict[str, float]:
            refs = repeated(images, int((given.seconds + 10) * most_a_second))
            result = measure(setup_of(images, **settings), refs, given.seconds)
            print(f"{name}: {result}", flush=True)
            return result

        results: dict[str, Any] = {}
        if "sleeping" in given.parts:
            with sleeping(samples, SLEEP):
                results["sleeping"] = {
                    actors: run(f"sleeping, {actors}", actors / SLEEP, engine="ray", actors=actors)
                    for actors in COUNTS
                }
        if "feeding" in given.parts:
            with sleeping(samples, 0.0):
                results["feeding"] = run("feeding", 20_000, engine="ray", actors=4)
        if "embedded" in given.parts:
            results["embedded"] = {
                "local": run("embedded, local", 400),
                **{
                    f"on {actors}": run(f"embedded, {actors}", 400, engine="ray", actors=actors)
                    for actors in (1, 2)
                },
            }
    if results.keys() == set(PARTS):
        results["bars"] = judge(results)
        print(results["bars"])
        command = f"python -m benchmarks.engines --seconds {given.seconds:g}"
        save("engines", command, {"seconds_an_image": SLEEP, **results})


if __name__ == "__main__":
    main()
