"""Ray itself: started for one command and ended with it, or a cluster's that is joined.

Nothing of Ray is shown: what it and its processes say goes to files. Nothing is sent anywhere:
neither the dashboard nor the reports of usage are started.
"""

import fcntl
import logging
import os
import secrets
import shutil
import signal
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError, TaskUnschedulableError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from florence_annotate import cores
from florence_annotate.engines.ray import address as addresses
from florence_annotate.engines.ray import internals
from florence_annotate.engines.ray.shares import Node
from florence_annotate.errors import EngineError

_STORE_BYTES = 256 << 20
"""Of Ray's object store on this machine: records under way are small, pixels never go there."""
_LONGEST_FOLDER = 40
"""Characters: Ray puts sockets below its folder, and the path of one has 107 bytes at most
(unix(7)), of which Ray's own part takes 64."""
_NEWS_SECONDS, _LOOK_SECONDS = 10.0, 0.2
"""In which all machines of a cluster know of one that came, and how often that is tried."""
_OF_RAY = ("RAY_AUTH_MODE",)
"""Variables that Ray sets itself."""
_PREFIX, _OWNER = "fa-ray-", "owner"
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0"}


class Session:
    """A connection to Ray. There is one in a process at a time."""

    def __init__(self, address: str | None) -> None:
        """Start Ray on this machine, or join the cluster at an address.

        Raises EngineError where that can't be.
        """
        self.is_local = address is None
        self._exit = ExitStack()
        with ExitStack() as undo:
            undo.callback(self.close)
            self._exit.enter_context(_silence())
            if address is None:
                self._start()
            else:
                self._join(address)
            undo.pop_all()

    def _start(self) -> None:
        import torch

        folder = self._exit.enter_context(_own_folder())
        # known to this command's own processes alone; Ray would keep one in the home folder
        self._exit.enter_context(_environment({"RAY_AUTH_TOKEN": TOKEN}))
        self._connect(
            "Ray could not be started on this machine",
            address="local",  # whatever RAY_ADDRESS says
            # these two Ray documents, but may take away: it would refuse them by name then
            _temp_dir=str(folder),
            _node_ip_address="127.0.0.1",
            num_cpus=cores.available(),
            num_gpus=torch.cuda.device_count(),
            object_store_memory=_STORE_BYTES,
            include_dashboard=False,
        )

    def _join(self, address: str) -> None:
        self._connect(addresses.no_cluster(address), address=addresses.settle(address))

    def _connect(self, problem: str, **how: Any) -> None:
        if ray.is_initialized():
            raise EngineError("this process is connected to Ray already: call ray.shutdown() first")
        self._exit.callback(ray.shutdown)
        with _own_signals(), _no_errors_shown():
            try:
                context = ray.init(log_to_driver=False, configure_logging=False, **how)
            except Exception as error:  # Ray raises nearly anything
                told = " ".join(str(error).split()) or type(error).__name__
                raise EngineError(f"{problem} ({told[:300]})") from error
        self._logs = Path(context.address_info["session_dir"], "logs")

    @cached_property
    def log(self) -> Path:
        """Where what Ray says can be read: a file, written as the session ends, for Ray on this
        machine; else the folder on every machine of the cluster."""
        if not self.is_local:
            return self._logs
        return Path(tempfile.gettempdir()) / f"florence-annotate-ray-{os.getpid()}.log"

    def keep_log(self) -> Path:
        """Keep what Ray said, since somebody may want to know why; returns where it will be."""
        if self.is_local and "log" not in self.__dict__:
            self._exit.callback(_gather, self._logs, self.log)
        return self.log

    def nodes(self) -> list[Node]:
        """The machines that are there now, in a fixed order."""
        alive = (node for node in ray.nodes() if node["Alive"])
        found = [
            Node(
                node["NodeID"],
                node["NodeManagerHostname"],
                node["Resources"].get("CPU", 0.0),
                node["Resources"].get("GPU", 0.0),
            )
            for node in alive
        ]
        return sorted(found, key=lambda node: (node.host, node.id))

    def on_each(
        self, nodes: Sequence[Node], run: Callable[..., Any], *given: Any, gpus: float = 0
    ) -> Iterator[tuple[Node, Any]]:
        """Call a function on each of the machines; yields what it returns, or its exception.

        One that has left the cluster meanwhile is left out.
        """
        task = ray.remote(num_cpus=0, num_gpus=gpus, max_retries=0)(run)

        def call(node: Node) -> Any:
            there = NodeAffinitySchedulingStrategy(node.id, soft=False)
            return task.options(scheduling_strategy=there).remote(*given)

        waiting = [(node, call(node)) for node in nodes]
        until = time.monotonic() + _NEWS_SECONDS
        while waiting:
            node, answer = waiting.pop(0)
            try:
                yield node, ray.get(answer)
            except RayTaskError as error:
                yield node, error.cause
            except TaskUnschedulableError as error:  # it came or left just now
                if node.id not in {each.id for each in self.nodes()}:
                    continue
                if time.monotonic() > until:
                    yield node, error
                else:
                    time.sleep(_LOOK_SECONDS)
                    waiting.append((node, call(node)))
            except RayError as error:
                yield node, error

    def close(self) -> None:
        """End Ray where it was started, with all that runs there; else leave the cluster."""
        self._exit.close()


TOKEN = secrets.token_hex(32)
"""Ray keeps the first one that a process has."""


@contextmanager
def _own_folder() -> Iterator[Path]:
    """A folder for Ray, which is gone afterwards; one of a command that was killed goes too."""
    is_short = len(tempfile.gettempdir()) + len(_PREFIX) + 8 <= _LONGEST_FOLDER
    base = Path(tempfile.gettempdir() if is_short else "/tmp")
    for left in base.glob(f"{_PREFIX}*"):
        with suppress(OSError), (left / _OWNER).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # its owner would hold it
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
    try:
        with (folder / f"{_OWNER}.new").open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            (folder / f"{_OWNER}.new").rename(folder / _OWNER)  # never seen without its lock
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _gather(logs: Path, into: Path) -> None:
    """Join what Ray's processes wrote in one file."""
    with into.open("wb") as whole:
        for path in sorted([*logs.glob("worker-*"), *logs.glob("raylet.*"), *logs.glob("gcs_*")]):
            with suppress(OSError):
                if content := path.read_bytes():
                    whole.write(b"\n==> %s <==\n%s" % (os.fsencode(path.name), content))


@contextmanager
def _silence() -> Iterator[None]:
    """Within, Ray writes nothing to this process's own output."""
    logger = logging.getLogger("ray")
    # what goes wrong on a cluster is printed on standard output else, into a command's result;
    # log_to_driver is not about that, and no public setting is
    was_shown = internals.part("worker", "_worker_logs_enabled")
    ray._private.worker._worker_logs_enabled = False
    level, logger.level = logger.level, logging.CRITICAL + 1
    try:
        with _environment(_QUIET):
            yield
    finally:
        logger.level, ray._private.worker._worker_logs_enabled = level, was_shown


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in (*variables, *_OF_RAY)}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _own_signals() -> Iterator[None]:
    """Afterwards signals are handled as before: Ray takes SIGTERM for itself."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _no_errors_shown() -> Iterator[None]:
    """Within, nothing comes to standard error: Ray's libraries, in C++, write there as they try,
    and it warns of what it will change."""
    shown, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        os.dup2(shown, 2)
        os.close(shown)
        os.close(nowhere)
