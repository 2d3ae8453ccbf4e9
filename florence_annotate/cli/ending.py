"""How a command ends that could not be done: one line on standard error, an exit code, and with
`--json` the same on standard output.

What this imports is what a Ctrl-C has to wait for until it is told so.
"""

import errno
import json
import os
import sys
from collections.abc import Callable

from florence_annotate.errors import FlorenceAnnotateError

NAME = "florence-annotate"
AT_ONCE = "stopped at once"
"""What an interrupted command says where there is nothing more to be said."""
_OF_THE_PATH = (errno.EACCES, errno.EPERM, errno.ENAMETOOLONG)
"""Where a path that was given can't even be looked at, whatever is asked of it."""


class Interrupted(Exception):  # noqa: N818 - it is no error
    """Ctrl-C, or a pipeline that ends the command; its text says what is safe and how to go on."""


def print_json(value: object) -> None:
    """In ASCII, so that it is JSON in whatever coding standard output is written."""
    print(json.dumps(value, indent=2), flush=True)


def exit_code_of(command: Callable[[], int | None]) -> int:
    """Run a command; tell what went wrong, if anything did, and return the exit code."""
    try:
        return command() or 0
    except FlorenceAnnotateError as error:
        return _tell(error.kind, str(error), error.exit_code)
    except (Interrupted, KeyboardInterrupt) as stop:
        message = str(stop) or AT_ONCE
        _say(f"\n{message}")
        return _tell("interrupted", message, 130, is_said=True)
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
        if isinstance(error, OSError) and error.errno in _OF_THE_PATH and error.filename:
            return _tell(
                "usage",
                f"can't look at {os.fsdecode(error.filename)}: {error.strerror}: give another path",
                2,
            )
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            # every file that is written has an error of its own: this is standard output
            _say(f"error: can't write the output: {error.strerror}")
            let_go_of_output()
            return 1
        # a mistake of ours: its trace is what a report of it needs
        _tell("internal", f"{type(error).__name__}: {error}", 1, is_said=True)
        raise


def let_go_of_output() -> None:
    """Where standard output can't be written to, what waits for it would be tried again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell(kind: str, message: str, exit_code: int, *, is_said: bool = False) -> int:
    if not is_said:
        _say(f"error: {' '.join(message.splitlines())}")
    if _asks_json(sys.argv[1:]):
        print_json({"error": {"kind": kind, "message": message, "exit_code": exit_code}})
    return exit_code


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _asks_json(arguments: list[str]) -> bool:
    """Whether --json is there, also in a command line that can't be read as a whole."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return "--json" in arguments[:end]
