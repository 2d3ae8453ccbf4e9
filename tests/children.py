"""Commands in processes of their own, which can be killed."""

import multiprocessing
import os
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess

from conftest import command


def warm() -> ForkServerContext:
    """Starts processes that have everything imported, so that kills hit the work itself."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["transformers.models.florence2.modeling_florence2", "florence_annotate.jobs.job",
         "florence_annotate.engines.local", "florence_annotate.model.florence", "conftest",
         "florence_annotate.jobs.exporting", "children"]
    )  # fmt: skip
    return context


def start(context: ForkServerContext, *arguments: object) -> BaseProcess:
    """The command with these arguments; its exit code is the process's."""
    child = context.Process(target=_run, args=(list(map(str, arguments)),))
    child.start()
    return child


def _run(arguments: list[str]) -> None:
    os.setpgid(0, 0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    os._exit(command(*arguments).code)
