"""Writing an export so that it is whole or not there, and never over somebody's corrections.

Files are written to a folder of their own first. Then each is compared with what lies in its
place: what is equal stays untouched; what was written by an earlier export is replaced, or removed
where the new export has no such file; what is anything else was corrected by hand, and the whole
export is refused before the first file is moved.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType

from florence_annotate.errors import ExportError, OutputError
from florence_annotate.journal import Exported, Journal

PICTURES = "images/"
METADATA_NAME = "metadata.jsonl"
"""A file beside the pictures that is none."""
_FOLDER = ".export"


@dataclass
class Staging:
    """Files of one export. Use it as a context, write with its methods, then `commit`."""

    out: Path
    journal: Journal
    overwrite: bool
    _files: dict[str, str] = field(default_factory=dict)
    """Path in the output folder → name of the content."""

    def __enter__(self) -> "Staging":
        self._clear()
        with _explained(self.out):
            (self.out / _FOLDER).mkdir()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._clear()

    def _clear(self) -> None:
        shutil.rmtree(self.out / _FOLDER, ignore_errors=True)

    def write_bytes(self, path: str, data: bytes) -> None:
        with self.file(path) as staged:
            staged.write_bytes(data)

    def write_text(self, path: str, text: str) -> None:
        self.write_bytes(path, text.encode("utf-8"))

    @contextmanager
    def file(self, path: str) -> Iterator[Path]:
        """Where to write the file that will be at `path`, relative to the output folder."""
        staged = self._reserve(path)
        with _explained(self.out / path):
            yield staged
        self._files[path] = _content(staged)

    def hard_link(self, path: str, original: Path, content: str) -> bool:
        """A hard link at `path` to an original whose SHA-256 is known; False where there is none
        to be had: on another file system, for example."""
        staged = self._reserve(path)
        try:
            os.link(os.path.realpath(original), staged)
        except OSError:
            return False
        self._files[path] = content
        return True

    def symbolic_link(self, path: str, original: Path) -> bool:
        """A relative symbolic link at `path`, or False."""
        staged = self._reserve(path)
        place = os.path.realpath((self.out / path).parent)
        try:
            staged.symlink_to(os.path.relpath(os.path.realpath(original), place))
        except OSError:
            return False
        self._files[path] = _content(staged)
        return True

    def _reserve(self, path: str) -> Path:
        if path in self._files:
            raise AssertionError(f"two files of one export are named {path}")
        staged = self.out / _FOLDER / path
        with _explained(self.out / path):
            staged.parent.mkdir(parents=True, exist_ok=True)
        return staged

    def commit(self) -> dict[str, str]:
        """Move everything into place; path → name of the content (SHA-256, or the link's goal).

        Raises ExportError, before anything is moved, for files that were changed by hand.
        """
        replaced, removed, foreign = self._compare(self._known)
        if foreign and not self.overwrite:
            raise ExportError(
                f"{len(foreign)} files in {self.out} are not as they were written: "
                f"{', '.join(sorted(foreign)[:3])}{' …' if len(foreign) > 3 else ''}. They may be "
                "corrections, so nothing was exported: move them away, or give --overwrite to lose "
                "them"
            )
        with _explained(self.out):
            self.journal.announce_exports(
                (path, _stamp(self.out / _FOLDER / path, self._files[path])) for path in replaced
            )
            for path in replaced:
                target = self.out / path
                target.parent.mkdir(parents=True, exist_ok=True)
                (self.out / _FOLDER / path).replace(target)
            for path in removed:
                self._remove(path)
                _remove_empty_parents(self.out / path, self.out)
            self.journal.settle_exports(
                (path, _stamp(self.out / path, content)) for path, content in self._files.items()
            )
        return dict(sorted(self._files.items()))

    def _compare(self, known: dict[str, list[Exported]]) -> tuple[list[str], list[str], list[str]]:
        """Paths to write, to remove, and those among them whose content would be lost."""
        replaced: list[str] = []
        removed: list[str] = []
        foreign: list[str] = []
        for path in self._files.keys() | known.keys():
            target = self.out / path
            present = _present(target, known.get(path, []))
            wanted = self._files.get(path)
            if present == wanted and not (wanted and self._is_other_kind(path)):
                continue
            (replaced if wanted else removed).append(path)
            is_ours = present in {file.content for file in known.get(path, [])}
            if present is None or is_ours or present == wanted:
                continue
            # an original that was edited in place is seen through the dataset's link to it, too
            if not (_is_picture(path) and _has_another_name(target)):
                foreign.append(path)
        return replaced, removed, foreign

    def _is_other_kind(self, path: str) -> bool:
        """A picture that has the right bytes, but as a link instead of a copy or the reverse."""
        staged, target = self.out / _FOLDER / path, self.out / path
        if not _is_picture(path) or staged.is_symlink():
            return False
        if _has_another_name(staged):
            return not staged.samefile(target)
        return _has_another_name(target)

    def own_copy(self, sha: str) -> Path | None:
        """A picture of an earlier export with these bytes, in the output folder."""
        for path in self._exported_pictures.get(sha, ()):
            if _present(self.out / path, self._known.get(path, [])) == sha:
                return self.out / path
        return None

    @cached_property
    def _known(self) -> dict[str, list[Exported]]:
        return self.journal.exported()

    @cached_property
    def _exported_pictures(self) -> dict[str, list[str]]:
        """Content → paths of the pictures that an earlier export wrote."""
        found: dict[str, list[str]] = {}
        for path, files in self._known.items():
            if _is_picture(path):
                for file in files:
                    found.setdefault(file.content, []).append(path)
        return found

    def _remove(self, path: str) -> None:
        """Remove a file of an earlier export; the last copy of a picture moves to `orphans/`."""
        target = self.out / path
        if _is_picture(path) and not target.is_symlink() and not _has_another_name(target):
            content = _content(target)
            originals = self.journal.originals_of(content)
            if originals and not any(_has_content(original, content) for original in originals):
                orphan = self.out / "orphans" / f"{content[:10]}-{target.name}"
                orphan.parent.mkdir(exist_ok=True)
                target.replace(orphan)
                return
        target.unlink(missing_ok=True)


def _is_picture(path: str) -> bool:
    return path.startswith(PICTURES) and not path.endswith(f"/{METADATA_NAME}")


def _has_another_name(path: Path) -> bool:
    return not path.is_symlink() and path.stat().st_nlink > 1


def _has_content(path: bytes, content: str) -> bool:
    try:
        return _content(Path(os.fsdecode(path))) == content
    except OSError:
        return False


def _content(path: Path) -> str:
    if path.is_symlink():
        goal = os.fsencode(path.readlink())
        return f"link:{goal.decode('utf-8', 'backslashreplace')}"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stamp(path: Path, content: str) -> Exported:
    status = path.lstat()
    return Exported(content, status.st_size, status.st_mtime_ns)


def _present(path: Path, known: list[Exported]) -> str | None:
    """Name of the content that lies at a path now; not read again where size and time are known."""
    if not os.path.lexists(path):
        return None
    status = path.lstat()
    for file in known:
        if (status.st_size, status.st_mtime_ns) == (file.size_bytes, file.mtime_ns):
            return file.content
    return _content(path)


def _remove_empty_parents(path: Path, top: Path) -> None:
    for folder in path.parents:
        if folder == top:
            return
        try:
            folder.rmdir()
        except OSError:
            return


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError.at(path, error) from error
