"""How many actors there are, and what each takes of its machine.

Actors never take all cores: the driver, Ray itself and whoever else uses the cluster need some, and
where actors hold all of them, tasks of others wait for good (ray-project/ray#44687).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from florence_annotate.errors import EngineError

_OF_CPUS = 0.9
"""The part of a machine's cores that actors may take."""
_MOST_A_CORE = 8
"""Actors; more would take longer to load their models than most jobs."""
_OF_RAY = 100
"""Ray counts ten-thousandths of a core; hundredths are fine enough."""


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of a cluster."""

    id: str
    host: str
    cpus: float
    gpus: float


@dataclass(frozen=True, slots=True)
class Shares:
    """How many actors, and what each takes."""

    actors: int
    cpus: float
    """Cores; less than one where several share it."""
    gpus: int
    """0 or 1."""

    @property
    def threads(self) -> int:
        """Threads of an actor: a part of a core counts as one, since its time would go unused."""
        return math.ceil(self.cpus)

    def hosts(self, nodes: Sequence[Node]) -> list[Node]:
        """The machines that an actor can be on."""
        return [node for node in nodes if node.gpus >= self.gpus and node.cpus >= self.cpus]


def settle(nodes: Sequence[Node], gpus: int | Literal["all"] | None, actors: int | None) -> Shares:
    """What is asked for, on these machines; with neither, all GPUs, or else one actor a machine.

    Raises EngineError where there is not so much.
    """
    there = int(sum(node.gpus for node in nodes))
    if actors is None and (gpus is not None or there):
        wanted = gpus if isinstance(gpus, int) else there
        if not 0 < wanted <= there:
            raise EngineError(
                f"--gpus {gpus}: Ray has {there} here ({_told(nodes)}): give no more, or "
                "--actors N to run on CPUs"
            )
        each = min(_OF_CPUS * node.cpus / node.gpus for node in nodes if node.gpus)
        return Shares(wanted, _rounded(each), 1)
    count = actors or sum(node.cpus > 0 for node in nodes)
    most = int(_MOST_A_CORE * sum(node.cpus for node in nodes))
    if count > most > 0:
        raise EngineError(
            f"--actors {count} are more than {_MOST_A_CORE} for each core that Ray has "
            f"({_told(nodes)}): give {most} at most; one for each core is usual"
        )
    sizes = {_OF_CPUS * node.cpus / part for node in nodes for part in range(1, count + 1)}
    fitting = [
        size
        for size in sizes
        if size and sum(int(_OF_CPUS * node.cpus / size + 1e-9) for node in nodes) >= count
    ]
    if not fitting:
        raise EngineError(f"--engine ray: Ray has no core to run on ({_told(nodes)})")
    return Shares(count, _rounded(max(fitting)), 0)


def _rounded(cpus: float) -> float:
    """Down, so that they fit."""
    return max(1, math.floor(cpus * _OF_RAY + 1e-6)) / _OF_RAY


def _told(nodes: Sequence[Node]) -> str:
    return ", ".join(
        f"{node.host} with {node.cpus:g} cores and {node.gpus:g} GPUs" for node in nodes
    )
