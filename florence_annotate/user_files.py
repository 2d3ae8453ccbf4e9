"""Files that people give, read whole: regular ones alone, and of a size that can be.

A fifo would be waited for without end and a device read without end, and a file of many gigabytes,
or JSON that is nested thousands deep, would end the process.
"""

import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any

SMALL = 4 << 20
"""Bytes; the most that settings, classes, or what is said about one image may have."""
LARGE = 2 << 30
"""Bytes; the most that an image, or what is said about all images, may have."""
DEEPEST = 100
"""How deep lists and mappings may stand within each other."""
_BINARY = getattr(os, "O_BINARY", 0)  # Windows

_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a fifo"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class UnreadableFileError(Exception):
    """A file that can't be read. Its text says why, in words that go on after the file's name."""

    def __init__(self, kind: str, message: str) -> None:
        """`kind` is the short name for `types.Failure`."""
        super().__init__(message)
        self.kind = kind


def kind_of(mode: int) -> str:
    """What a file is that is no regular one, by its mode."""
    return next((name for test, name in _KINDS if test(mode)), "something else")


@contextmanager
def opened(path: str | bytes | Path) -> Iterator[BufferedReader]:
    """A regular file to read from; anything else is refused at once.

    Raises OSError, and UnreadableFileError for what is no regular file.
    """
    # O_NONBLOCK: to open a fifo must not wait for who writes to it
    descriptor = os.open(path, os.O_RDONLY | _BINARY | getattr(os, "O_NONBLOCK", 0))
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise UnreadableFileError("not-a-file", f"it is {kind_of(mode)}")
        with open(descriptor, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)


def read_bytes(path: str | bytes | Path, most: int) -> bytes:
    """The bytes of a regular file that has at most so many; anything else is refused at once.

    Raises UnreadableFileError.
    """
    try:
        with opened(path) as file:
            if os.fstat(file.fileno()).st_size > most:
                raise UnreadableFileError("too-large", f"it has more than {most >> 20} MiB")
            return file.read()
    except FileNotFoundError as error:
        raise UnreadableFileError("missing", "it is not there") from error
    except PermissionError as error:
        raise UnreadableFileError("permission", "no permission to read it") from error
    except OSError as error:
        raise UnreadableFileError("io-error", error.strerror or str(error)) from error


def read_text(path: str | bytes | Path, most: int) -> str:
    """The text of a file in UTF-8, without the mark that some editors put before it.

    Raises UnreadableFileError.
    """
    try:
        return read_bytes(path, most).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFileError("no-text", f"it is no text in UTF-8 ({error})") from error


def parse_json(text: str) -> Any:
    """What a JSON text holds. Raises UnreadableFileError for what is none, or nested too deep."""
    try:
        content = json.loads(text)
    except RecursionError as error:
        raise too_deep() from error
    except ValueError as error:
        raise UnreadableFileError("no-json", f"it is no JSON: {error}") from error
    return refuse_deep(content)


def refuse_deep(content: Any) -> Any:
    """The same content; raises UnreadableFileError where it is nested deeper than `DEEPEST`."""
    level: list[Any] = [content]
    for _ in range(DEEPEST):
        level = [
            child for each in level for child in _children(each) if isinstance(child, dict | list)
        ]
        if not level:
            return content
    raise too_deep()


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def too_deep() -> UnreadableFileError:
    message = f"it holds more than {DEEPEST} lists or mappings within each other"
    return UnreadableFileError("too-deep", message)
