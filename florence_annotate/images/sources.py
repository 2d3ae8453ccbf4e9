"""The images of a job's sources, in a fixed order: `ImageRef`s.

Files are looked at and never opened. A link to an image is an image of its own; a link to a
folder is followed, but each folder is walked once, so that loops end. What looks like an image by
its name and is none (a broken link, a fifo, a folder named `x.jpg`) is reported as skipped, and so
is a folder that holds a dataset, or belongs to a report.
"""

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from florence_annotate.images import roots
from florence_annotate.images.absence import GONE_ERRORS, Absence, Absent, look_for
from florence_annotate.images.keys import key_of, path_of, printable, unique
from florence_annotate.images.patterns import is_wanted, matches
from florence_annotate.images.roots import Given, has_suffix
from florence_annotate.images.shards import Shard
from florence_annotate.types import ImageRef, Root
from florence_annotate.user_files import kind_of

_Identity = tuple[int, int]
"""A folder's device and inode, whatever the path to it."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something with an image's name that is not read, or a folder, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Unread:
    """What could not be looked at in the last iteration, though it may be there."""

    prefix: str
    """Of its root."""
    start: str
    """The key of an image; or, with a `/` at its end or empty, what keys of images begin with."""
    folder: bytes

    def holds(self, key: str) -> bool:
        is_folder = not self.start or self.start.endswith("/")
        return key == self.start or (is_folder and key.startswith(self.start))


@dataclass(slots=True)
class Sources:
    """The images of the sources that the user named.

    `suffixes` are the lower-case file name endings that the walk through a folder takes for
    images; a file that is named itself may have any name. Raises SourceError for a source that
    is not there and was no folder of the job's, and UsageError for a list or a pattern that names
    nothing.
    """

    named: Sequence[str]
    suffixes: frozenset[str]
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    output: Path | None = None
    """The job's output: left out where a link or a pattern leads to it."""
    known: Sequence[Root] = ()
    """The roots that the job has already."""
    is_taken: Callable[[str], bool] = lambda name: False
    """Whether keys of the job begin with a name, so that a new root can't have it."""
    what_is: Callable[[bytes], str | None] = lambda folder: None
    """What a folder is that this program wrote, None for any other: no image in it is taken, unless
    it is named one by one."""
    shard: Shard | None = None
    """Only the images of this part."""
    skipped: list[Skipped] = field(default_factory=list)
    """What looked like an image and was not taken, in the last iteration."""
    roots: list[Root] = field(init=False)
    """All roots of the job from now on."""
    _given: list[Given] = field(init=False)
    _own: dict[bytes, str | None] = field(default_factory=dict)
    """What a folder is that a pattern leads through."""
    _unread: list[_Unread] = field(default_factory=list)
    _prefixes: frozenset[str] = frozenset()
    _unmatched: set[str] = field(default_factory=set)
    """Patterns that no image matched yet."""

    def __post_init__(self) -> None:
        self._given = roots.resolve(self.named, self.suffixes, self._leaves_out, self.known)
        self.roots = roots.settle(self._given, self.known, self.is_taken)
        self._prefixes = frozenset(root.prefix for root in self.roots)

    def _leaves_out(self, match: bytes, base: bytes) -> bool:
        """Whether a match of a pattern lies in the output, or below `base` in a folder that this
        program wrote."""
        if lies_in(match, self.output):
            return True
        folder = match if os.path.isdir(match) else os.path.dirname(match)
        while True:
            if folder not in self._own:
                self._own[folder] = self.what_is(folder)
            if self._own[folder]:
                return True
            if len(folder) <= len(base):
                return False
            folder = os.path.dirname(folder)

    @property
    def folders(self) -> list[Path]:
        """The folders that are walked."""
        return [Path(os.fsdecode(each.folder)) for each in self._given if each.is_walked]

    @property
    def prefixes(self) -> list[str]:
        """What the keys of each source begin with; empty where there is one."""
        return [each.prefix for each in self._given]

    @property
    def images(self) -> list[Path]:
        """The images that were named one by one, also by a pattern or a list."""
        return [Path(os.fsdecode(path)) for each in self._given for path in each.named or ()]

    @property
    def landmarks(self) -> list[Path]:
        """By what another machine sees each source: the folder, or the first image of those that
        are named one by one."""
        return [Path(os.fsdecode((each.named or [each.folder])[0])) for each in self._given]

    def __iter__(self) -> Iterator[ImageRef]:
        """Every image once, folder by folder in the byte order of names; fills `skipped`."""
        self.skipped.clear()
        self._unread.clear()
        self._unmatched = {*self.include, *self.exclude}
        for folder, what in sorted(self._own.items()):
            if what:
                self._skip(folder, f"it is {what}")
        by_prefix: dict[str, dict[str, bytes]] = {}
        for each in self._given:
            if each.named is not None:
                by_prefix[each.prefix] = self._keys_of_named(each)
        for each in self._given:
            named = by_prefix.get(each.prefix, {})
            if not each.is_walked:
                yield from self._look_at_all(each, named.items())
                continue
            walked = self._walk(each)
            if named:  # what is also named by itself comes there
                walked = (pair for pair in walked if pair[0] not in named)
            yield from self._look_at_all(each, walked)

    def _look_at_all(self, given: Given, images: Iterable[tuple[str, bytes]]) -> Iterator[ImageRef]:
        takes_all = self.shard is None and not self.include and not self.exclude
        for key, path in images:
            if self._unmatched:
                self._unmatched -= {each for each in self._unmatched if matches(key, [each])}
            if (takes_all or self._wanted(key)) and (ref := self._look_at(given, path, key)):
                yield ref

    def _keys_of_named(self, given: Given) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for path in given.named or ():
            found[unique(self._key(given, path), found.__contains__)] = path
        return found

    def _key(self, given: Given, path: bytes) -> str:
        return key_of(path, given.folder, given.prefix, self._prefixes)

    def _walk(self, given: Given) -> Iterator[tuple[str, bytes]]:
        """Key and path of what looks like an image, folder by folder."""
        visited: set[_Identity] = set()
        linked: list[bytes] = []  # walked last, so that a folder is found by its own name first
        yield from self._walk_folder(given, given.folder, visited, linked)
        while linked:
            yield from self._walk_folder(given, linked.pop(0), visited, linked)

    def _walk_folder(
        self, given: Given, top: bytes, visited: set[_Identity], linked: list[bytes]
    ) -> Iterator[tuple[str, bytes]]:
        output = None
        with suppress(OSError):  # it may not be there yet
            output = self.output and _identity(os.fsencode(self.output))
        pending = [top]
        while pending:
            folder = pending.pop()
            start = self._key(given, os.path.join(folder, b""))
            subfolders: list[bytes] = []
            images: list[os.DirEntry[bytes]] = []
            try:
                identity = _identity(folder)
                if identity in visited:
                    continue
                visited.add(identity)
                # no way down leads into it but through it
                if identity == output or (folder == top and lies_in(folder, self.output)):
                    self._skip(folder, "it is the output")
                    continue
                if what := self.what_is(folder):
                    self._skip(folder, f"it is {what}")
                    continue
                with os.scandir(folder) as entries:
                    for entry in sorted(entries, key=lambda entry: entry.name):
                        self._sort(entry, subfolders, linked, images)
            except OSError as error:
                self._skip(folder, f"folder can't be read: {error.strerror}")
                if error.errno not in GONE_ERRORS:
                    self._unread.append(_Unread(given.prefix, start, folder))
                continue
            for entry in images:
                yield start + printable(entry.name), entry.path
            pending += reversed(subfolders)

    def _sort(
        self,
        entry: os.DirEntry[bytes],
        subfolders: list[bytes],
        linked: list[bytes],
        images: list[os.DirEntry[bytes]],
    ) -> None:
        """Add an entry of a folder to what it is, if it is anything of ours."""
        looks_like_image = has_suffix(entry.name, self.suffixes)
        if entry.name.startswith(b"."):
            if looks_like_image or _is_dir(entry):
                self._skip(entry.path, "hidden")
        elif looks_like_image and entry.is_file(follow_symlinks=False):
            images.append(entry)  # as most are
        elif entry.is_dir(follow_symlinks=False):
            subfolders.append(entry.path)
        elif _is_dir(entry):
            linked.append(entry.path)
        elif looks_like_image:
            images.append(entry)

    @property
    def unmatched(self) -> list[str]:
        """The patterns that no image matched in the last iteration."""
        return sorted(self._unmatched)

    def nested(self) -> Iterator[str]:
        """See `roots.nested`."""
        return roots.nested(self._given)

    def _wanted(self, key: str) -> bool:
        is_in_shard = self.shard is None or self.shard.holds(key)
        return is_in_shard and is_wanted(key, self.include, self.exclude)

    def _look_at(self, given: Given, path: bytes, key: str) -> ImageRef | None:
        try:
            status = os.stat(path)
        except OSError as error:
            is_link = os.path.islink(path)
            reason = "link that leads nowhere" if is_link else (error.strerror or str(error))
            self._skip(path, reason)
            if error.errno not in GONE_ERRORS:
                self._unread.append(_Unread(given.prefix, key, os.path.dirname(path)))
            return None
        if not stat.S_ISREG(status.st_mode):
            self._skip(path, f"no regular file but {kind_of(status.st_mode)}")
            return None
        return ImageRef.of(key, path, status)

    def _skip(self, path: bytes, reason: str) -> None:
        self.skipped.append(Skipped(printable(path), reason))

    def why_absent(self, key: str, seen_at: bytes) -> Absent:
        """Why an image of the job was not in the last iteration; `seen_at` is its path before."""
        if not self._wanted(key):
            return Absent(Absence.EXCLUDED)
        prefix = max((each for each in self._prefixes if key.startswith(each)), key=len, default="")
        given = next((each for each in self._given if each.prefix == prefix), None)
        if given is None:
            return Absent(Absence.NOT_NAMED)
        for unread in self._unread:
            if unread.prefix == prefix and unread.holds(key):
                return Absent(Absence.UNREADABLE, unread.folder)
        path = path_of(key, seen_at, given.folder, prefix)
        is_inside = path.startswith(given.folder.rstrip(b"/") + b"/")
        absent = look_for(path, given.folder if is_inside else b"/")
        was_elsewhere = path != seen_at and os.path.lexists(seen_at)
        if absent is None or (absent.why is Absence.GONE and was_elsewhere):
            return Absent(Absence.NOT_NAMED)
        return absent


def _identity(path: bytes) -> _Identity:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def lies_in(path: bytes, folder: Path | None) -> bool:
    """Whether a path is a folder or lies in it, links resolved."""
    if folder is None:
        return False
    outer, real = os.path.realpath(os.fsencode(folder)), os.path.realpath(path)
    return real == outer or real.startswith(outer + os.fsencode(os.sep))


def _is_dir(entry: os.DirEntry[bytes]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a loop of links; looked at as a file, it is skipped by name
