"""The command line: one thin module a command. Nothing here loads torch before it is needed.

The commands themselves are imported within `main`, where a Ctrl-C and a mistake are told in our
words already: that takes a good part of a second.
"""

import atexit
import io
import os
import signal
import sys

from florence_annotate.cli import ending


def main() -> None:
    """The console script."""
    # the hub's client and transformers print bars and hints of their own between our lines
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # PyTorch's threads sleep while they wait for each other: spinning, they would keep a core of a
    # busy machine from those that they wait for. OpenMP reads it once, as PyTorch is loaded
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # paths need not be text in the terminal's coding
            stream.reconfigure(errors="backslashreplace")
    # a pipeline that ends the job is Ctrl-C by another name
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = ending.exit_code_of(_command)
        # how it ended is told by now, and whoever stops what is left would get another exit code
        atexit.register(_ignore_signals)
        # CPython ends by the signal itself where Ctrl-C came upon text that was being run, as in
        # many an import, whatever the exit code; text that is run to its end makes it forget that
        exec("pass")
        sys.exit(code)
    except BrokenPipeError:  # `| head` has read enough
        ending.let_go_of_output()
        sys.exit(1)


def _command() -> int | None:
    from florence_annotate.cli.app import app

    code: int | None = app(prog_name=ending.NAME, standalone_mode=False)
    return code


def _ignore_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
