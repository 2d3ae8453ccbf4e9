"""How a command ends that could not be done: one line on standard error, an exit code, and with
`--json` the same on standard output.

What the command line itself has wrong is found by typer; its errors are said in our words here.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer

from florence_annotate.errors import FlorenceAnnotateError, UsageError, nearest

NAME = "florence-annotate"

# of click, which newer versions of typer carry within and older ones import
_WrongCommandLine: type[Exception] = typer.BadParameter.__bases__[0]


class Interrupted(Exception):  # noqa: N818 - it is no error
    """Ctrl-C, or a pipeline that ends the command; its text says what is safe and how to go on."""


def print_json(value: object) -> None:
    """In ASCII, so that it is JSON in whatever coding standard output is written."""
    typer.echo(json.dumps(value, indent=2))


def exit_code_of(command: Callable[[], int | None]) -> int:
    """Run a command; tell what went wrong, if anything did, and return the exit code."""
    try:
        return command() or 0
    except FlorenceAnnotateError as error:
        return _tell(error.kind, str(error), error.exit_code)
    except Interrupted as stop:
        typer.echo(f"\n{stop}", err=True)
        return _tell("interrupted", str(stop), 130, is_said=True)
    except MemoryError:
        return _tell(
            "memory",
            "this process may not have the memory that the model takes: raise its limit "
            "(ulimit -v), or choose a smaller --model or --batch-size. What was committed is safe",
            1,
        )
    except BrokenPipeError:
        raise
    except Exception as error:
        if isinstance(error, UnicodeEncodeError) and sys.getfilesystemencoding() != "utf-8":
            return _tell(
                "locale",
                f"this locale names files in {sys.getfilesystemencoding()}, which lacks characters "
                f"of {error.object!r}: set LC_ALL=C.UTF-8 or PYTHONUTF8=1",
                1,
            )
        # a mistake of ours: its trace is what a report of it needs
        _tell("internal", f"{type(error).__name__}: {error}", 1, is_said=True)
        raise


def _tell(kind: str, message: str, exit_code: int, *, is_said: bool = False) -> int:
    if not is_said:
        typer.echo(f"error: {' '.join(message.splitlines())}", err=True)
    if _asks_json(sys.argv[1:]):
        print_json({"error": {"kind": kind, "message": message, "exit_code": exit_code}})
    return exit_code


def _asks_json(arguments: list[str]) -> bool:
    """Whether --json is there, also in a command line that can't be read as a whole."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return "--json" in arguments[:end]


@contextmanager
def in_command(context: Any) -> Iterator[None]:
    """Say in our words what is wrong with the command line of this command. Raises UsageError."""
    try:
        yield
    except _WrongCommandLine as error:
        raise UsageError(_message_of(error, context)) from error


def _message_of(error: Any, context: Any) -> str:
    see = f"'{context.command_path} --help' lists what it takes"
    parameters = context.command.get_params(context)
    parameter = getattr(error, "param", None)
    if parameter is not None and parameter.required and not error.message:
        if parameter.param_type_name == "option":
            return f"{parameter.opts[0]} is missing: add {parameter.opts[0]} {parameter.metavar}"
        usage = " ".join([context.command_path, *context.command.collect_usage_pieces(context)])
        return f"{parameter.metavar.rstrip('.')} is missing: write {usage}"
    if parameter is not None:
        return f"{parameter.opts[-1]}: {error.message}"
    if (option := getattr(error, "option_name", None)) is not None:
        flags = {flag: each for each in parameters for flag in each.opts + each.secondary_opts}
        if option not in flags:
            return f"there is no option {option}: {nearest(option, flags) or see}"
        if flags[option].is_flag:
            return f"{option} is a switch and takes no value: write {option} alone"
        return f"{option} lacks its value: write {option} {flags[option].metavar}"
    words = " ".join(error.format_message().split()).rstrip(".")
    return f"{words[:1].lower()}{words[1:]}: {see}"
