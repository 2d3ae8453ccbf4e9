"""Folders, files, globs and lists → `ImageRef`s, in a fixed order.

Files are looked at and never opened. A link to an image is an image of its own; a link to a
folder is followed, but each folder is walked once, so that loops end. What looks like an image by
its name and is none (a broken link, a fifo, a folder named `x.jpg`) is reported as skipped.
"""

import codecs
import glob
import os
import re
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from florence_annotate.errors import SourceError, UsageError
from florence_annotate.types import ImageRef
from florence_annotate.user_files import LARGE, UnreadableFileError, kind_of, read_bytes


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something with an image's name that is not read, and why."""

    name: str
    reason: str


@dataclass(slots=True)
class _Root:
    """A folder that keys are counted from: one to walk, or that of images named one by one."""

    folder: bytes
    prefix: str = ""
    """What its keys start with, where there are several roots."""
    named: list[bytes] | None = None
    """Absolute paths of single images; None: walk the folder."""


@dataclass(slots=True)
class Sources:
    """The images of the sources that the user named.

    `suffixes` are the lower-case file name endings that the walk through a folder takes for
    images; a file that is named itself may have any name. Raises SourceError for a source that
    is not there, and UsageError for a list or a pattern that names nothing.
    """

    named: Sequence[str]
    suffixes: frozenset[str]
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    output: Path | None = None
    """The job's output: left out where a link or a pattern leads to it."""
    skipped: list[Skipped] = field(default_factory=list)
    """What looked like an image and was not taken, in the last iteration."""
    _roots: list[_Root] = field(default_factory=list)

    def __post_init__(self) -> None:
        for source in self.named:
            self._roots += _resolve(source, self.suffixes, self._is_in_output)
        _merge_roots(self._roots)
        _set_prefixes(self._roots)

    def _is_in_output(self, path: bytes) -> bool:
        if self.output is None:
            return False
        output, real = os.path.realpath(os.fsencode(self.output)), os.path.realpath(path)
        return real == output or real.startswith(output + os.fsencode(os.sep))

    @property
    def folders(self) -> list[Path]:
        """The folders that are walked."""
        return [Path(os.fsdecode(root.folder)) for root in self._roots if root.named is None]

    @property
    def prefixes(self) -> list[str]:
        """What the keys of each source begin with; empty where there is one."""
        return [root.prefix for root in self._roots]

    @property
    def images(self) -> list[Path]:
        """The images that were named one by one, also by a pattern or a list."""
        return [Path(os.fsdecode(path)) for root in self._roots for path in root.named or ()]

    def __iter__(self) -> Iterator[ImageRef]:
        """Every image once, folder by folder in the byte order of names; fills `skipped`."""
        self.skipped.clear()
        for root in self._roots:
            keys: set[str] = set()
            paths = self._walk(root) if root.named is None else root.named
            for path in paths:
                key = _key(root, path)
                if not is_wanted(key, self.include, self.exclude):
                    continue
                ref = self._look_at(path, _unique(key, keys) if root.named else key)
                if ref:
                    yield ref

    def _walk(self, root: _Root) -> Iterator[bytes]:
        visited: set[tuple[int, int]] = set()
        linked: list[bytes] = []  # walked last, so that a folder is found by its own name first
        yield from self._walk_folder(root.folder, visited, linked)
        while linked:
            yield from self._walk_folder(linked.pop(0), visited, linked)

    def _walk_folder(
        self, folder: bytes, visited: set[tuple[int, int]], linked: list[bytes]
    ) -> Iterator[bytes]:
        pending = [folder]
        while pending:
            folder = pending.pop()
            try:
                status = os.stat(folder)
                if (status.st_dev, status.st_ino) in visited:
                    continue
                visited.add((status.st_dev, status.st_ino))
                if self._is_in_output(folder):
                    self._skip(folder, "it is the output")
                    continue
                with os.scandir(folder) as entries:
                    ordered = sorted(entries, key=lambda entry: entry.name)
            except OSError as error:
                self._skip(folder, f"folder can't be read: {error.strerror}")
                continue
            subfolders: list[bytes] = []
            for entry in ordered:
                looks_like_image = _has_suffix(entry.name, self.suffixes)
                if entry.name.startswith(b"."):
                    if looks_like_image or _is_dir(entry):
                        self._skip(entry.path, "hidden")
                elif entry.is_dir(follow_symlinks=False):
                    subfolders.append(entry.path)
                elif _is_dir(entry):
                    linked.append(entry.path)
                elif looks_like_image:
                    yield entry.path
            pending += reversed(subfolders)

    def _look_at(self, path: bytes, key: str) -> ImageRef | None:
        try:
            status = os.stat(path)
        except OSError as error:
            is_link = os.path.islink(path)
            reason = "link that leads nowhere" if is_link else (error.strerror or str(error))
            self._skip(path, reason)
            return None
        if not stat.S_ISREG(status.st_mode):
            self._skip(path, f"no regular file but {kind_of(status.st_mode)}")
            return None
        return ImageRef(key, path, 0, 0).seen_as(status)

    def _skip(self, path: bytes, reason: str) -> None:
        self.skipped.append(Skipped(printable(path), reason))


def is_wanted(key: str, include: Collection[str], exclude: Collection[str]) -> bool:
    """Whether the patterns take an image; without any to include, all but the excluded ones."""
    if include and not _matches(key, include):
        return False
    return not _matches(key, exclude)


def printable(path: bytes) -> str:
    """A path as printable text, one text for one path.

    Valid UTF-8 stays as it is; bytes that are none become `\\xNN`, control and other unprintable
    characters `\\uNNNN`, and a backslash is doubled, so that no two paths become equal.
    """
    text = os.fsdecode(path) if os.name == "nt" else path.decode("utf-8", "surrogateescape")
    return "".join(_escape(character) for character in text)


def _escape(character: str) -> str:
    code = ord(character)
    if character == "\\" and os.name != "nt":
        return "\\\\"
    if 0xDC80 <= code <= 0xDCFF:  # how surrogateescape carries a byte that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if character.isprintable():
        return character
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _resolve(
    source: str, suffixes: frozenset[str], is_in_output: Callable[[bytes], bool]
) -> list[_Root]:
    if source.startswith("@"):
        return [_read_list(Path(source[1:]))]
    path = os.fsencode(source)
    if os.path.isdir(path):
        return [_Root(os.path.abspath(path))]
    if os.path.lexists(path):
        return [_named(path)]
    if glob.has_magic(source):
        return _expand(source, suffixes, is_in_output)
    raise SourceError(f"the source {source!r} is not there: check the spelling")


def _named(path: bytes) -> _Root:
    absolute = os.path.abspath(path)
    return _Root(os.path.dirname(absolute), named=[absolute])


def _expand(
    pattern: str, suffixes: frozenset[str], is_in_output: Callable[[bytes], bool]
) -> list[_Root]:
    """The files that a pattern matches; where it matches folders alone, these, to be walked.

    Of the files those with an image's ending; where none has one, the user means them all.
    """
    base = os.path.abspath(os.fsencode(os.path.join("", *_fixed_parts(pattern))))
    found = (os.path.abspath(match) for match in glob.glob(os.fsencode(pattern), recursive=True))
    matches = sorted(match for match in found if not is_in_output(match))
    files = [match for match in matches if not os.path.isdir(match)]
    images = [file for file in files if _has_suffix(file, suffixes)]
    if files:
        return [_Root(base, named=images or files)]
    if not matches:
        raise SourceError(f"the pattern {pattern!r} matches nothing: check it, and quote it")
    return [_Root(match) for match in matches]


def _fixed_parts(pattern: str) -> Iterator[str]:
    """The parts of a path before the first wild card; an escaped one, as `[[]`, is none."""
    for part in Path(pattern).parts:
        plain = re.sub(r"\[([*?[])\]", r"\1", part)
        if glob.escape(plain) != part:
            return
        yield plain


def _read_list(path: Path) -> _Root:
    try:
        lines = read_bytes(path, LARGE).removeprefix(codecs.BOM_UTF8).splitlines()
    except UnreadableFileError as error:
        raise SourceError(
            f"can't read the list {path}: {error}; give a text file with a path on each line"
        ) from error
    if any(b"\0" in line for line in lines):
        raise UsageError(f"the list {path} is no text: put one path on each line")
    folder = os.path.abspath(os.fsencode(path.parent))
    named = [
        os.path.abspath(os.path.join(folder, line.strip()))
        for line in lines
        if line.strip() and not line.strip().startswith(b"#")
    ]
    if not named:
        raise UsageError(f"the list {path} names no file: put one path on each line")
    return _Root(folder, named=list(dict.fromkeys(named)))


def _merge_roots(roots: list[_Root]) -> None:
    """A folder that is given twice is walked once; files named one by one in it share one root."""
    by_folder: dict[tuple[bytes, bool], _Root] = {}
    for root in list(roots):
        first = by_folder.setdefault((os.path.realpath(root.folder), root.named is None), root)
        if first is root:
            continue
        if first.named is not None and root.named is not None:
            first.named = list(dict.fromkeys([*first.named, *root.named]))
        roots[:] = [other for other in roots if other is not root]


def _set_prefixes(roots: list[_Root]) -> None:
    """Where there are several roots, each key starts with its root's name, made unique."""
    if len(roots) < 2:
        return
    taken: set[str] = set()
    for root in roots:
        root.prefix = _unique(printable(os.path.basename(root.folder)) or "root", taken) + "/"


def _unique(name: str, taken: set[str]) -> str:
    stem, suffix = os.path.splitext(name)
    number, candidate = 2, name
    while candidate in taken:
        candidate = f"{stem}-{number}{suffix}"
        number += 1
    taken.add(candidate)
    return candidate


def _key(root: _Root, path: bytes) -> str:
    folder = root.folder.rstrip(b"/") + b"/"
    inside = path[len(folder) :] if path.startswith(folder) else path.lstrip(b"/")
    return root.prefix + printable(inside).replace(os.sep, "/")


def _has_suffix(name: bytes, suffixes: frozenset[str]) -> bool:
    return os.path.splitext(name)[1].lower().decode("ascii", "replace") in suffixes


def _matches(key: str, patterns: Iterable[str]) -> bool:
    name = key.rsplit("/", 1)[-1]
    return any(fnmatchcase(key, pattern) or fnmatchcase(name, pattern) for pattern in patterns)


def _is_dir(entry: os.DirEntry[bytes]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a loop of links; looked at as a file, it is skipped by name
