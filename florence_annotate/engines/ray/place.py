"""Ray as a place (`florence_annotate.engines.places.Place`): from settings to actors at work."""

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import ray

from florence_annotate.config.job_spec import JobSpec, flag_of
from florence_annotate.engines.ray import preflight, shares
from florence_annotate.engines.ray.engine import RayEngine
from florence_annotate.engines.ray.session import Session
from florence_annotate.engines.ray.shares import Node, Shares
from florence_annotate.engines.ray.worker import Worker
from florence_annotate.engines.start import Assignment, Started
from florence_annotate.errors import EngineError
from florence_annotate.model.device import say_memory

_PART_OF_GPU = 0.01
"""Enough for Ray to let a task see one."""


class Cluster:
    """Actors of Ray, on this machine or on those of a cluster.

    Nothing is started before it is needed.
    """

    def __init__(self, spec: JobSpec) -> None:
        self._spec = spec
        self._exit = ExitStack()

    @property
    def name(self) -> str:
        asked = {name: getattr(self._spec, name) for name in ("address", "gpus", "actors")}
        given = [f"{flag_of(name)} {value}" for name, value in asked.items() if value is not None]
        return " ".join(["ray", *given])

    def resolve_dtype(self, *, is_embedded: bool) -> str:
        """See `Place.resolve_dtype`. Raises EngineError where machines have different ones."""
        if is_embedded:
            return "float32"
        found = self._session.on_each(
            self._hosts, _dtype_of, self._device, gpus=_PART_OF_GPU * self._shares.gpus
        )
        by_host: dict[str, str] = {}
        for node, dtype in found:
            if isinstance(dtype, BaseException):
                raise EngineError(f"on {node.host} no number format was found: {dtype}")
            by_host[node.host] = dtype
        if len(set(by_host.values())) > 1:
            told = ", ".join(f"{host} {dtype}" for host, dtype in by_host.items())
            raise EngineError(
                f"the machines of the cluster would not answer alike ({told}): give --dtype float32"
            )
        return next(iter(by_host.values()))

    def start(
        self, assignment: Assignment, landmarks: Sequence[Path], note: Callable[[str], None]
    ) -> Started:
        weights = assignment.checkpoint.weights_hash()
        if not self._session.is_local:
            preflight.refuse_unfit(self._session, self._hosts, assignment, weights, landmarks)
            count = len(self._hosts)
            see = "1 machine sees" if count == 1 else f"{count} machines see"
            note(f"{see} the sources and the checkpoint")
        count, cpus = self._shares.actors, self._shares.cpus
        on = "a GPU and " if self._shares.gpus else ""
        actors, each = ("an actor", "") if count == 1 else (f"{count} actors", " each")
        note(f"starting {actors} with {on}{cpus:g} cores{each} …")
        hire = partial(self._hire, assignment, weights)
        engine = RayEngine(hire, count, note, self._session.keep_log)
        self._exit.callback(engine.dismiss)
        engine.wait_until_ready()
        return Started(engine, lambda: _say(engine))

    def close(self) -> None:
        self._exit.close()

    @cached_property
    def _session(self) -> Session:
        session = Session(self._spec.address)
        self._exit.callback(session.close)
        return session

    @cached_property
    def _shares(self) -> Shares:
        return shares.settle(self._session.nodes(), self._spec.gpus, self._spec.actors)

    @property
    def _hosts(self) -> list[Node]:
        return self._shares.hosts(self._session.nodes())

    @property
    def _device(self) -> str:
        return "cuda" if self._shares.gpus else "cpu"

    def _hire(self, assignment: Assignment, weights: str) -> Any:
        # read as PyTorch is loaded: threads sleep while they wait for each other
        policy = {"OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE")}
        return (
            ray.remote(Worker)
            .options(
                num_cpus=self._shares.cpus,
                num_gpus=self._shares.gpus,
                scheduling_strategy="SPREAD",
                runtime_env={} if self._session.is_local else {"env_vars": policy},
            )
            .remote(assignment, weights, self._shares.threads, self._device)
        )


def _dtype_of(device: str) -> str:
    """What `auto` comes to on the machine that this is called on."""
    from florence_annotate.engines.start import Here
    from florence_annotate.model.device import resolve_device

    return Here(resolve_device(device)).resolve_dtype(is_embedded=False)


def _say(engine: RayEngine) -> str:
    memory = say_memory(engine.memory)
    actors = "1 actor" if engine.ready == 1 else f"{engine.ready} actors"
    return actors + (f", {memory} each at most" if memory else "")
