"""The folder in which an export is written, until `replacing` moves it into place.

So an export is whole or not there. A file's hash is taken while it is written.
"""

import errno
import hashlib
import os
import shutil
import tempfile
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from florence_annotate import user_files
from florence_annotate.errors import OutputError
from florence_annotate.formats import cloning
from florence_annotate.journal import LINK, MadeOf, Planned

FOLDER = ".export"
NO_IMAGE = MadeOf()
_FOLDERS = 4096
"""How many are remembered."""
_BUFFER = 1 << 18
"""Characters that a file keeps before it writes them."""


class StagedFile:
    """A file that is written piece by piece; `Staging` closes what its writer leaves open."""

    def __init__(self, target: Path, staged: str) -> None:
        """Raises OutputError."""
        self._target = target
        try:
            self._file = FileIO(staged, "x")
        except OSError as error:
            raise OutputError.at(target, error) from error
        self._hash = hashlib.sha256()
        self._waiting: list[str] = []
        self._waits = 0
        self._is_discarded = False

    def write(self, data: bytes) -> int:
        """Bytes; returns how many. With `flush`, `close` and `closed` it is a file for others."""
        view = memoryview(data)
        if self._is_discarded:  # by a library that closes what it holds when it is deleted
            return view.nbytes
        self.flush()
        try:
            self._hash.update(view)
            written = 0
            while written < view.nbytes:
                written += self._file.write(view[written:])
        except OSError as error:
            raise OutputError.at(self._target, error) from error
        return view.nbytes

    def write_text(self, text: str) -> None:
        self._waiting.append(text)
        self._waits += len(text)
        if self._waits >= _BUFFER:
            self.flush()

    def flush(self) -> None:
        if self._waiting:
            data = "".join(self._waiting).encode("utf-8")
            self._waiting, self._waits = [], 0
            self.write(data)

    @property
    def closed(self) -> bool:
        return self._file.closed

    def close(self) -> None:
        if not self.closed:
            self.flush()
            self._file.close()

    def discard(self) -> None:
        """Close it as it is; what is written to it from now on is lost."""
        self._is_discarded = True
        self._waiting.clear()
        self._file.close()

    @property
    def content(self) -> str:
        """SHA-256 of what was written."""
        return self._hash.hexdigest()


class Staging:
    """Files of one export. Use it as a context, and write with its methods.

    All paths are relative to the output folder, with `/`. Raises OutputError, for a full disk say.
    """

    def __init__(self, out: Path, planned: Planned) -> None:
        """`planned` is told of each file."""
        self.out = out
        self.folder = out / FOLDER
        self.planned = planned
        self._open: dict[str, StagedFile] = {}
        self._scratch: list[BinaryIO] = []
        self._folders: set[str] = set()
        """Some of those that were made."""

    def __enter__(self) -> "Staging":
        remove(self.out)
        try:
            self.folder.mkdir()
        except OSError as error:
            raise OutputError.at(self.out, error) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for file in self._open.values():
            file.discard()
        for scratch in self._scratch:
            scratch.close()
        remove(self.out)

    def write_bytes(self, path: str, data: bytes, made_of: MadeOf = NO_IMAGE) -> None:
        """A whole file."""
        staged = self._reserve(path)
        try:
            descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o666)
            try:
                written = os.write(descriptor, data)
                while written < len(data):
                    written += os.write(descriptor, data[written:])
            finally:
                os.close(descriptor)
        except FileExistsError as error:
            raise _twice(path) from error
        except OSError as error:
            raise OutputError.at(self.out / path, error) from error
        self.planned.add(path, hashlib.sha256(data).hexdigest(), made_of)

    def write_text(self, path: str, text: str) -> None:
        """A whole file, in UTF-8."""
        self.write_bytes(path, text.encode("utf-8"))

    def open(self, path: str) -> StagedFile:
        """A file to be written piece by piece."""
        if path in self._open:
            raise _twice(path)
        file = self._open[path] = StagedFile(self.out / path, self._reserve(path))
        return file

    def scratch(self) -> BinaryIO:
        """A file for what can't be written yet. It is no part of the export."""
        file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115
        self._scratch.append(file)
        return file

    def finish(self) -> None:
        """Close all files that are open."""
        for path, file in self._open.items():
            file.close()
            self.planned.add(path, file.content, NO_IMAGE)
        self._open.clear()

    def clone(self, path: str, original: str, content: str, made_of: MadeOf) -> bool:
        """A copy-on-write clone of a file whose SHA-256 is known; False where the file system makes
        none."""
        if not cloning.clone(original, self._reserve(path)):
            return False
        self.planned.add(path, content, made_of)
        return True

    def copy(self, path: str, original: str, made_of: MadeOf) -> None:
        """A copy of a file."""
        staged = self._reserve(path)
        if os.path.lexists(staged):  # what a link leads to would be written over
            raise _twice(path)
        try:
            shutil.copyfile(original, staged)
            content = name_of_content(staged)
        except OSError as error:
            raise OutputError.at(self.out / path, error) from error
        self.planned.add(path, content, made_of)

    def hard_link(self, path: str, original: str, content: str, made_of: MadeOf) -> bool:
        """A hard link at `path` to an original whose SHA-256 is known; False where there is none
        to be had: on another file system, for example."""
        staged = self._reserve(path)
        try:
            os.link(os.path.realpath(original), staged)
        except FileExistsError as error:
            raise _twice(path) from error
        except OSError:
            return False
        self.planned.add(path, content, made_of)
        return True

    def symbolic_link(self, path: str, original: str, made_of: MadeOf) -> bool:
        """A relative symbolic link at `path`, or False."""
        staged = self._reserve(path)
        folder = os.path.realpath((self.out / path).parent)
        try:
            os.symlink(os.path.relpath(os.path.realpath(original), folder), staged)
        except FileExistsError as error:
            raise _twice(path) from error
        except OSError:
            return False
        self.planned.add(path, name_of_content(staged), made_of)
        return True

    def _reserve(self, path: str) -> str:
        """Where a file is to be written; its folder is made."""
        folder = path.rpartition("/")[0]
        if folder not in self._folders:
            try:
                os.makedirs(self.folder / folder, exist_ok=True)
            except OSError as error:
                raise OutputError.at(self.out / path, error) from error
            if len(self._folders) >= _FOLDERS:
                self._folders.clear()
            self._folders.add(folder)
        return f"{self.folder}/{path}"


def _twice(path: str) -> AssertionError:
    return AssertionError(f"two files of one export are named {path}")


def remove(out: Path) -> None:
    """Remove what an export left in the output folder that was killed while it staged."""
    shutil.rmtree(out / FOLDER, ignore_errors=True)


_BINARY = getattr(os, "O_BINARY", 0)  # Windows


def name_of_content(path: str | Path) -> str:
    """SHA-256 of a file's bytes, or the goal of a link. Raises OSError, also for what is neither:
    to read from a fifo would never end."""
    if os.path.islink(path):
        goal = os.fsencode(os.readlink(path))
        return LINK + goal.decode("utf-8", "backslashreplace")
    try:
        with user_files.opened(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except user_files.UnreadableFileError as error:
        raise OSError(errno.EINVAL, str(error)) from error
