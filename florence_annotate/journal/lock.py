"""One writer an output folder, by a lock file that names its holder."""

import errno
import json
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from florence_annotate.errors import LockedError, OutputError
from florence_annotate.user_files import kind_of

FILE_NAME = "job.lock"

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


_descriptors: set[int] = set()
"""Of the locks that this process holds."""


def _let_go_in_child() -> None:
    """A forked reader process must not go on holding what its parent held, when that is killed."""
    while _descriptors:
        os.close(_descriptors.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go_in_child)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the folder; the system lets go of it when the process ends, however it ends.

    Where nothing was written to a folder that was made for it, it is gone afterwards. Raises
    LockedError where another process holds it, OutputError where it can't be written, or lies on a
    file system without locks.
    """
    path = folder / FILE_NAME
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = _open(path)
    except OSError as error:
        raise OutputError.at(path, error) from error
    _descriptors.add(descriptor)
    try:
        _acquire(descriptor, path)
        try:
            now = datetime.now(UTC).isoformat(timespec="seconds")
            holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": now}
            with suppress(OSError):  # on a full disk the lock holds without a name in it
                os.ftruncate(descriptor, 0)
                os.write(descriptor, json.dumps(holder).encode())
            yield
        finally:
            with suppress(OSError):
                path.unlink()
    finally:
        _descriptors.discard(descriptor)
        os.close(descriptor)
        with suppress(OSError):
            for each in made:
                each.rmdir()  # those that hold nothing


_SAFELY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def _open(path: Path) -> int:
    """The descriptor of the lock file, which is made where there is none. Raises OSError.

    A link that somebody else has put in its place leads to a file that is not to be written to.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _SAFELY, 0o644)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(error.errno, "it is a link") from error
        raise
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_nlink <= 1:  # none: its holder just let go
        return descriptor
    os.close(descriptor)
    is_file = stat.S_ISREG(status.st_mode)
    what = "a file with another name, too" if is_file else kind_of(status.st_mode)
    raise OSError(errno.EEXIST, f"it is {what}")


def _acquire(descriptor: int, path: Path) -> None:
    if fcntl is None:
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise _locked(descriptor, path) from error
        return
    for tries_left in reversed(range(10)):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError as error:
            if not tries_left:
                raise _locked(descriptor, path) from error
            time.sleep(0.01)  # whoever only looks, see `holder_of`, is gone by then
        except OSError as error:
            with suppress(OSError):
                path.unlink()  # nobody can hold it
            raise OutputError(
                f"{path.parent} is on a file system without locks ({error.strerror}), so that two "
                "runs could write to it at once: choose an output on another one with -o"
            ) from error
    if not path.exists() or os.fstat(descriptor).st_ino != path.lstat().st_ino:
        raise _locked(descriptor, path)  # a holder let go, and the next took a new file, just now


@dataclass(frozen=True, slots=True)
class Holder:
    """Who wrote to a folder last, or still does; a lock file of an older version has no time."""

    pid: int
    host: str
    since: datetime | None
    holds: bool
    """Whether it still does; else it was killed."""

    def __str__(self) -> str:
        since = f", since {self.since.astimezone():%Y-%m-%d %H:%M:%S}" if self.since else ""
        return f"process {self.pid} on {self.host}{since}"


def holder_of(folder: Path) -> Holder | None:
    """Whom the lock file names; None where there is no such file, or it names nobody.

    Whoever holds the folder is not disturbed: the look is a lock that any number may share, and is
    over at once.
    """
    try:
        descriptor = os.open(folder / FILE_NAME, os.O_RDONLY | _SAFELY)
    except OSError:
        return None
    try:
        named = _named(descriptor)
        since = datetime.fromisoformat(named["since"]) if "since" in named else None
        return Holder(named["pid"], named["host"], since, _is_held(descriptor))
    except (ValueError, KeyError, TypeError, OSError):
        return None
    finally:
        os.close(descriptor)


def _is_held(descriptor: int) -> bool:
    if fcntl is None:
        return True  # there a file that is open can't be read at all
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _named(descriptor: int) -> dict[str, Any]:
    """Raises ValueError, OSError."""
    holder: dict[str, Any] = json.loads(os.pread(descriptor, 4096, 0))
    return holder


def _locked(descriptor: int, path: Path) -> LockedError:
    try:
        holder = _named(descriptor)
        who = f"process {holder['pid']} on {holder['host']}"
    except (ValueError, KeyError, TypeError, RecursionError, OSError):
        who = "another process"
    return LockedError(
        f"{path.parent} is being written by {who}: wait for it, stop it, or choose another "
        "output with -o"
    )
