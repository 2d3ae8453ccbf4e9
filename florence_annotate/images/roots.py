"""Folders, files, globs and lists, as users name them → the roots that keys are counted from.

A root keeps its prefix as long as there is the job: a key never changes because another source
comes or goes.
"""

import codecs
import glob
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path

from florence_annotate.errors import SourceError, UsageError
from florence_annotate.images.keys import printable, unique
from florence_annotate.types import Root
from florence_annotate.user_files import LARGE, UnreadableFileError, read_bytes

LeavesOut = Callable[[bytes, bytes], bool]
"""Whether a match of a pattern is none of the job's; the second is the pattern's fixed part."""


@dataclass(slots=True)
class Given:
    """A source of a run: a folder to walk, or one of which images are named one by one."""

    folder: bytes
    """Absolute, as the user spelled it."""
    named: list[bytes] | None = None
    """Absolute paths of single images; None: walk the folder."""
    real: bytes = b""
    """The folder as the job knows it, or else with links resolved."""
    prefix: str = ""

    @property
    def is_walked(self) -> bool:
        return self.named is None

    def identify(self, known: Mapping[bytes, bytes]) -> None:
        """Find which folder of the job it is, however it is spelled; see `_folders_by_path`."""
        real = os.path.realpath(self.folder)
        self.real = known.get(self.folder) or known.get(real, real)


def resolve(
    sources: Iterable[str],
    suffixes: frozenset[str],
    leaves_out: LeavesOut,
    known: Sequence[Root],
) -> list[Given]:
    """What a run is given, each folder once; folders of the job may be gone.

    Raises SourceError for another source that is not there, and UsageError for a list or a pattern
    that names nothing.
    """
    folders = _folders_by_path(known)
    walked = _folders_by_path(root for root in known if root.is_walked).keys()
    found = (each for source in sources for each in _resolve(source, suffixes, leaves_out, walked))
    return _merged(found, folders)


def _folders_by_path(known: Iterable[Root]) -> dict[bytes, bytes]:
    """Path → folder of the job: by what it was called, and by where that leads by now."""
    folders = {root.folder for root in known}
    return {os.path.realpath(folder): folder for folder in folders} | {
        each: each for each in folders
    }


def settle(
    given: Sequence[Given], known: Sequence[Root], is_taken: Callable[[str], bool]
) -> list[Root]:
    """Give each source its prefix; returns all roots of the job from now on.

    A known folder has the one that it had. In a new job a single folder has none; any other gets
    its name, made unique: `is_taken` says which keys of the job begin with.
    """
    folders = {each.real: each.folder for each in reversed(given)}
    if len(folders) == 1 and len({root.folder for root in known}) == 1:
        # where it is another folder, the only source was moved
        known = [replace(root, folder=next(iter(folders))) for root in known]
    prefixes = {root.folder: root.prefix for root in reversed(known)}
    if not known and len(folders) == 1:
        prefixes = dict.fromkeys(folders, "")
    exact = {(root.folder, root.is_walked): root.prefix for root in known}
    for each in given:
        if each.real not in prefixes:
            prefixes[each.real] = _new_prefix(each, prefixes, is_taken)
        each.prefix = exact.setdefault((each.real, each.is_walked), prefixes[each.real])
    return [Root(folder, is_walked, prefix) for (folder, is_walked), prefix in exact.items()]


def _new_prefix(given: Given, prefixes: dict[bytes, str], is_taken: Callable[[str], bool]) -> str:
    plain = [folder for folder, prefix in prefixes.items() if not prefix]

    def is_had(name: str) -> bool:
        is_entry = any(os.path.lexists(os.path.join(each, os.fsencode(name))) for each in plain)
        return f"{name}/" in prefixes.values() or is_entry or is_taken(name)

    return unique(printable(os.path.basename(given.folder)) or "root", is_had) + "/"


def nested(given: Sequence[Given]) -> Iterator[str]:
    """What there is to say of folders to walk that lie in each other."""
    outer, start = None, b""
    # in this order what lies in a folder comes right behind it
    for each in sorted((one for one in given if one.is_walked), key=_as_beginning):
        if outer is None or not _as_beginning(each).startswith(start):
            outer, start = each, _as_beginning(each)
            continue
        where, what = printable(outer.folder), printable(each.folder)
        yield f"{what} lies in {where}, which is a source too: its images are taken twice"


def _as_beginning(given: Given) -> bytes:
    """With what the paths of all begin that lies in a folder."""
    return given.real.rstrip(b"/") + b"/"


def of_earlier(
    sources: Iterable[str], suffixes: frozenset[str], leaves_out: LeavesOut
) -> list[Root]:
    """The roots of a run by a version that noted none, from its sources.

    It gave a prefix to each where there were several, also to a folder and single images of it.
    """
    found: list[Given] = []
    for source in sources:
        try:
            found += _resolve(source, suffixes, leaves_out, frozenset())
        except (SourceError, UsageError):
            found.append(_gone(source, suffixes))
    given = _merged(found, {})
    prefixes: list[str] = []
    for each in given if len(given) > 1 else ():
        name = printable(os.path.basename(each.folder)) or "root"
        prefixes.append(unique(name, lambda name: f"{name}/" in prefixes) + "/")
    return [
        Root(each.real, each.is_walked, prefix)
        for each, prefix in zip(given, prefixes or [""], strict=True)
    ]


def _gone(source: str, suffixes: frozenset[str]) -> Given:
    path = os.path.abspath(os.fsencode(source.removeprefix("@")))
    if glob.has_magic(source):
        return Given(_fixed_part(source), named=[])
    if source.startswith("@") or has_suffix(path, suffixes):
        return Given(os.path.dirname(path), named=[])
    return Given(path)


def _resolve(
    source: str, suffixes: frozenset[str], leaves_out: LeavesOut, walked: Set[bytes]
) -> list[Given]:
    """`walked` are folders that may be gone."""
    if source.startswith("@"):
        return [_read_list(Path(source[1:]))]
    path = os.fsencode(source)
    absolute = os.path.abspath(path)
    if os.path.isdir(path) or {absolute, os.path.realpath(path)} & walked:
        return [Given(absolute)]
    if os.path.lexists(path):
        return [Given(os.path.dirname(absolute), named=[absolute])]
    if glob.has_magic(source):
        return _expand(source, suffixes, leaves_out)
    raise SourceError(f"the source {source!r} is not there: check the spelling")


def _expand(pattern: str, suffixes: frozenset[str], leaves_out: LeavesOut) -> list[Given]:
    """The files that a pattern matches; where it matches folders alone, these, to be walked.

    Of the files those with an image's ending; where none has one, the user means them all.
    """
    base = _fixed_part(pattern)
    found = (os.path.abspath(match) for match in glob.glob(os.fsencode(pattern), recursive=True))
    matches = sorted(match for match in found if not leaves_out(match, base))
    files = [match for match in matches if not os.path.isdir(match)]
    images = [file for file in files if has_suffix(file, suffixes)]
    if files:
        return [Given(base, named=images or files)]
    if not matches:
        raise SourceError(f"the pattern {pattern!r} matches nothing: check it, and quote it")
    return [Given(match) for match in matches]


def _fixed_part(pattern: str) -> bytes:
    return os.path.abspath(os.fsencode(os.path.join("", *_fixed_parts(pattern))))


def _fixed_parts(pattern: str) -> Iterator[str]:
    """The parts of a path before the first wild card; an escaped one, as `[[]`, is none."""
    for part in Path(pattern).parts:
        plain = re.sub(r"\[([*?[])\]", r"\1", part)
        if glob.escape(plain) != part:
            return
        yield plain


def _read_list(path: Path) -> Given:
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
    return Given(folder, named=list(dict.fromkeys(named)))


def _merged(given: Iterable[Given], known: Mapping[bytes, bytes]) -> list[Given]:
    """A folder that is given twice is walked once; files named one by one in it share one root."""
    by_folder: dict[tuple[bytes, bool], Given] = {}
    for each in given:
        each.identify(known)
        first = by_folder.setdefault((each.real, each.is_walked), each)
        if first.named is not None and each.named is not None:
            first.named = list(dict.fromkeys([*first.named, *each.named]))
    return list(by_folder.values())


def has_suffix(name: bytes, suffixes: frozenset[str]) -> bool:
    """Whether a name ends in one of these suffixes, in small or capital letters.

    What begins with dots and has no other is no suffix, as for `os.path.splitext`, which takes
    three times as long.
    """
    dot = name.rfind(b".")
    suffix = name[dot:].lower().decode("ascii", "replace")
    return dot > 0 and suffix in suffixes and name[:dot].strip(b".") != b""
