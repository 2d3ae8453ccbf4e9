"""An export in which nothing changed is not built again.

With the files that it wrote, an export keeps in the journal what it came to, and a digest of all
that it was made from. The next one need not be built where

- the digest is the same: the attempts that count, the settings, the output folder, the versions of
  this program and of the libraries that shape files, the epoch of the build;
- every file lies there as it was written, by its size and time;
- every original is as it was annotated, by its size and time, and a link still leads to it.

Anything else is left to a whole export: a file that is missing, one that somebody changed, an
original that is gone. So is an export that left images out or held files, since what was in the way
may be gone by now without a trace.
"""

import hashlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from florence_annotate.config.job_spec import OPTIONS, JobSpec
from florence_annotate.dataset.splits import RULE, SplitRule
from florence_annotate.declaration import Kept
from florence_annotate.formats import last_copies
from florence_annotate.formats.outcome import Outcome
from florence_annotate.formats.replacing import is_as_known
from florence_annotate.images.patterns import is_wanted
from florence_annotate.journal import Journal, Placed
from florence_annotate.types import Question

SHAPING = tuple(name for name, option in OPTIONS.items() if option.kept is not Kept.RUN)
"""Settings that shape files otherwise than by the attempts that the journal holds."""

_PACKAGES = (
    *("numpy", "opencv-python", "opencv-python-headless", "pillow", "pyarrow", "pycocotools"),
    *("pyyaml", "supervision"),
)


class Unchanged:
    """Whether the files of the last export are what another one would write."""

    def __init__(
        self,
        journal: Journal,
        out: Path,
        spec: JobSpec,
        formats: Sequence[str],
        questions: Iterable[Question],
        split_rule: SplitRule,
        *,
        are_originals_needed: bool,
    ) -> None:
        self._journal = journal
        self._out = out
        self._spec = spec
        self._formats = formats
        self._questions = questions
        self._split_rule = split_rule
        self._are_originals_needed = are_originals_needed

    def outcome(self) -> Outcome | None:
        """What the last export came to, where nothing changed since; else None."""
        kept = self._journal.exports.outcome()
        if kept is None or kept.get("made_from") != self._made_from:
            return None
        with self._journal.reading("what an export came to"):
            if kept["files"] != self._digest_in_place():
                return None
            outcome = Outcome.from_json(kept, self._files)
            if self._are_originals_needed and not self._are_originals_in_place(outcome):
                return None
        return outcome

    def to_keep(self, outcome: Outcome) -> dict[str, Any] | None:
        """What has to be kept of an export for that; None where the next one is whole anyway."""
        if outcome.notes.left_out or outcome.notes.held:
            return None
        own = {"made_from": self._made_from, "files": _digest_files(outcome.files())}
        return own | outcome.to_json()

    @property
    def shaping(self) -> dict[str, Any]:
        """The settings that shape files, and the rule of splits that they come to, as JSON
        values."""
        shaping = self._spec.model_dump(mode="json", include={*SHAPING})
        return shaping | {RULE: self._split_rule.to_json()}

    @cached_property
    def _made_from(self) -> str:
        """A digest of all that shapes the files, but for the originals."""
        total = hashlib.sha256()
        shaping = {
            "settings": self.shaping,
            "formats": list(self._formats),
            "questions": [[question.task, question.text] for question in self._questions],
            "output": os.path.realpath(self._out),
            "epoch": os.environ.get("SOURCE_DATE_EPOCH"),
            "versions": _versions(),
        }
        total.update(json.dumps(shaping, sort_keys=True).encode())
        for key, seq in self._journal.attempts():
            total.update(f"\n{seq} {key}".encode())
        return total.hexdigest()

    def _digest_in_place(self) -> str | None:
        """A digest of the exported files, where all are as they were written."""
        try:
            return _digest_files(self._files_in_place())
        except (OSError, _OtherFileError):
            return None

    def _files(self) -> Iterator[tuple[str, str]]:
        """Path and content of the exported files, without last copies."""
        for path, file in self._journal.exports.unchecked_files.each():
            if not last_copies.is_one(path):
                yield path, file.content

    def _files_in_place(self) -> Iterator[tuple[str, str]]:
        """The same, as long as all are as they were written. Raises OSError, _OtherFileError."""
        root, before = str(self._out), ""
        for path, file in self._journal.exports.unchecked_files.each():
            if path == before or not is_as_known(os.lstat(f"{root}/{path}"), file):
                raise _OtherFileError
            if not last_copies.is_one(path):
                yield path, file.content
            before = path

    def _are_originals_in_place(self, outcome: Outcome) -> bool:
        for ref, image in self._journal.exports.images():
            if not is_wanted(ref.key, self._spec.include, self._spec.exclude):
                continue
            try:
                original = os.stat(ref.path)
                if not ref.is_seen_in(original):
                    return False
                if image is not None and not self._is_as_placed(*image, original, outcome):
                    return False
            except OSError:
                return False
        return True

    def _is_as_placed(
        self, path: str, placed: str | None, original: os.stat_result, outcome: Outcome
    ) -> bool:
        """Whether an image of the dataset is the link to its original, or the file of its own, that
        another export would make it."""
        target = f"{self._out}/{path}"
        if placed in (Placed.HARD_LINK, Placed.SYMBOLIC_LINK):
            return os.path.samestat(os.stat(target), original)
        is_on_same_device = os.lstat(target).st_dev == original.st_dev
        may_be_linked = self._spec.images == "symlink" or is_on_same_device
        return not (outcome.notes.copied and may_be_linked)


class _OtherFileError(Exception):
    """A file is not as it was written."""


def _digest_files(files: Iterable[tuple[str, str]]) -> str:
    total = hashlib.sha256()
    for path, content in files:
        total.update(f"{path}\0{content}\n".encode())
    return total.hexdigest()


def _versions() -> dict[str, str]:
    """Of this program, by its own source, and of what else shapes files."""
    code = hashlib.sha256()
    package = Path(__file__).parents[1]
    # what shapes files beside the code: tables of words
    for file in sorted([*package.rglob("*.py"), *package.rglob("*.txt")]):
        code.update(f"{file.relative_to(package)}\0".encode())
        code.update(file.read_bytes())
    found = {"python": platform.python_version(), "florence-annotate": code.hexdigest()}
    for package_name in _PACKAGES:
        try:
            found[package_name] = importlib.metadata.version(package_name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
