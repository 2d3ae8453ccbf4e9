"""What the command line itself has wrong: typer finds it, and it is said in our words."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from florence_annotate.errors import UsageError, nearest

# of click, which newer versions of typer carry within and older ones import
_WrongCommandLine: type[Exception] = typer.BadParameter.__bases__[0]


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
