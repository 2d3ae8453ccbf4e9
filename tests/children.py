"""Commands in processes of their own, which can be killed."""

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from typing import Any

from conftest import command

from florence_annotate.journal import database, merging


def warm() -> ForkServerContext:
    """Starts processes that have everything imported, so that kills hit the work itself."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["transformers.models.florence2.modeling_florence2", "florence_annotate.jobs.job",
         "florence_annotate.engines.local", "florence_annotate.model.florence", "conftest",
         "florence_annotate.jobs.exporting", "florence_annotate.jobs.merging", "children"]
    )  # fmt: skip
    return context


def start(context: ForkServerContext, *arguments: object) -> BaseProcess:
    """The command with these arguments; its exit code is the process's."""
    child = context.Process(target=_run, args=(list(map(str, arguments)),))
    child.start()
    return child


def start_dying(context: ForkServerContext, transaction: int, *arguments: object) -> BaseProcess:
    """The same, killed within its n-th transaction, before that is committed; what is merged goes
    into many of them."""
    child = context.Process(target=_run_dying, args=(transaction, list(map(str, arguments))))
    child.start()
    return child


def _run_dying(transaction: int, arguments: list[str]) -> None:
    whole, begun = database.Database.transaction, 0

    @contextlib.contextmanager
    def counted(self: database.Database, *kind: Any) -> Iterator[None]:
        nonlocal begun
        begun += 1
        number = begun
        with whole(self, *kind):
            yield
            if number == transaction:
                os.kill(os.getpid(), signal.SIGKILL)

    database.Database.transaction = counted  # type: ignore[method-assign]
    merging._PAGE = 2
    _run(arguments)


def _run(arguments: list[str]) -> None:
    os.setpgid(0, 0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    os._exit(command(*arguments).code)
