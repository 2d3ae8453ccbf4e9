"""Where a model runs: a device of this machine, or Ray. This is where an engine is chosen.

Nothing heavy is imported before a place is found.
"""

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from florence_annotate.config.job_spec import JobSpec, flag_of
from florence_annotate.errors import EngineError, UsageError

if TYPE_CHECKING:
    from florence_annotate.engines.start import Assignment, Started

_OF_RAY = ("gpus", "actors", "address")


class Place(Protocol):
    """Where a model runs, and how it gets there."""

    @property
    def name(self) -> str:
        """For people, and for the summary: `cpu`, or `Ray: 2 actors`."""

    def resolve_dtype(self, *, is_embedded: bool) -> str:
        """The number format that `auto` comes to there."""

    def start(
        self, assignment: "Assignment", landmarks: Sequence[Path], note: Callable[[str], None]
    ) -> "Started":
        """The engine of a job, ready to run; `landmarks` as `images.sources.Sources` has them.

        Raises CheckpointError, DeviceError, UsageError and EngineError.
        """

    def close(self) -> None:
        """Let go of all that was started; what runs there ends."""


def check(spec: JobSpec) -> None:
    """Raise UsageError for settings that contradict each other, and EngineError without Ray."""
    given = [name for name in _OF_RAY if getattr(spec, name) is not None]
    if spec.engine == "local":
        # those of an earlier run are no mistake of somebody who chooses another engine now
        wrong = given if "engine" not in spec.by_flag else set(given) & spec.by_flag
        if wrong:
            flag = flag_of(min(wrong))
            raise UsageError(f"{flag} is a setting of Ray: add --engine ray, or leave it out")
        return
    if spec.gpus is not None and spec.actors is not None:
        raise UsageError(
            "--gpus has one actor a GPU, and --actors counts those on CPUs: give one of them "
            "(--gpus none and --actors none take away what an earlier run had)"
        )
    if "device" in spec.by_flag:
        raise UsageError(
            "--device is one of this machine, and with --engine ray the model runs on those that "
            "--gpus or --actors count: leave --device out"
        )
    if importlib.util.find_spec("ray") is None:
        raise EngineError(
            "--engine ray needs Ray, which is not installed: pip install 'florence-annotate[ray]'"
        )


def find(spec: JobSpec) -> Place:
    """Where the model of a job runs. Raises DeviceError for a device that this machine lacks."""
    if spec.engine == "ray":
        from florence_annotate.engines.ray.place import Cluster

        return Cluster(spec)
    from florence_annotate.engines.start import Here
    from florence_annotate.model.device import resolve_device

    return Here(resolve_device(spec.device))
