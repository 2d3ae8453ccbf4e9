"""The jobs that are to become one: each is looked at, held to the first, and left as it is."""

import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Self

from florence_annotate.config import policy_file
from florence_annotate.config.job_spec import JobSpec
from florence_annotate.dataset import opening, settled
from florence_annotate.errors import JobError, LockedError, UsageError
from florence_annotate.images.keys import in_shell, path_of
from florence_annotate.images.shards import Shard
from florence_annotate.jobs import fingerprint, sharding
from florence_annotate.jobs.fingerprint import Begun
from florence_annotate.jobs.naming import roots_of
from florence_annotate.journal import Journal, lock
from florence_annotate.types import ImageRef, Root

_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Part:
    """One of them; little, since there may be thousands."""

    out: Path
    shard: Shard | None
    roots: Sequence[Root]
    sources: Sequence[str]
    include: Sequence[str]
    exclude: Sequence[str]
    pending: int
    """Images that it has not annotated yet."""
    made_of: Collection[Path] = ()
    """What it was merged of before."""

    @classmethod
    def of(cls, journal: Journal, out: Path, spec: JobSpec, made_of: Collection[Path] = ()) -> Self:
        """`spec` is that of its last run."""
        roots, shard = roots_of(journal, out), sharding.of(journal)
        pending = journal.counts().pending
        return cls(out, shard, roots, spec.sources, spec.include, spec.exclude, pending, made_of)

    def is_akin_to(self, other: "Part") -> bool:
        """Whether both are of one job, so that their sources are the same wherever these lie."""
        if self.shard is not None and other.shard is not None:
            return self.shard.count == other.shard.count
        return other.out in self.made_of or self.out in other.made_of

    @property
    def is_here(self) -> bool:
        """Whether its sources lie where they lay."""
        return all(os.path.isdir(root.folder) for root in self.roots)


@dataclass(slots=True)
class Common:
    """What the first of them has, and every other must have too."""

    out: Path
    begun: Begun
    spec: JobSpec
    """Of its last run."""
    policy: Mapping[str, Any]
    """See `settled.read`."""
    routes: Mapping[str, str]
    """Of the report of its last run."""
    skipped: dict[tuple[str, str], None] = field(default_factory=dict)
    """What the sources of all hold that is not read: names and reasons."""

    @classmethod
    def of(cls, journal: Journal, out: Path) -> Self:
        """Raises JobError before the first run."""
        begun = Begun.of(journal)
        if begun is None:
            raise JobError(f"{out} holds no job yet: begin it with 'florence-annotate run'")
        report, spec = journal.runs.last_report(), opening.last_spec(journal)
        with journal.reading("what its last run reported"):
            skipped = {(each["name"], each["reason"]): None for each in report.get("skipped", ())}
            routes = dict(report.get("routes", {}))
        return cls(out, begun, spec, settled.read(journal, out), routes, skipped)


@contextmanager
def opened(out: Path) -> Iterator[Journal]:
    """The journal of a job that nobody works on, to be read without leaving a trace.

    Raises JobError, LockedError.
    """
    holder = lock.holder_of(out)
    if holder is not None and holder.holds:
        raise LockedError(f"{out} is being written by {holder}: wait for it, or stop it")
    with Journal.open_untouched(out) as journal:
        yield journal


def look(
    outs: Iterable[Path], common: Common | None, policy: Collection[str]
) -> tuple[Common, list[Part]]:
    """Look at each of these jobs.

    They are held to what is `common` already, else to the first of them; of its policy, in these
    settings. Raises JobError and LockedError for one that can't be merged, UsageError for another
    policy.
    """
    parts = []
    for out in outs:
        with opened(out) as journal:
            own = Common.of(journal, out)
            if common is None:
                common = own
            fingerprint.refuse_unlike(common.begun, common.out, own.begun, out)
            _refuse_other_policy(common, own, policy)
            if others := fingerprint.count_decoded_otherwise(journal):
                raise JobError(
                    f"{others} images of {out} were asked by an earlier version, which read this "
                    "checkpoint's own settings of generation otherwise: ask them again (run "
                    "--restart) before they are merged with others"
                )
            common.skipped |= own.skipped
            parts.append(Part.of(journal, out, own.spec))
    assert common is not None
    return common, parts


def _refuse_other_policy(common: Common, own: Common, settings: Collection[str]) -> None:
    names = [name for name in settings if common.policy.get(name) != own.policy.get(name)]
    if names:
        differ = policy_file.differences(
            *({name: each.policy.get(name) for name in names} for each in (common, own))
        )
        raise UsageError(
            f"the policies of {common.out} and {own.out} differ ({'; '.join(differ or names)}): "
            "say with --policy which of the folders has the one that counts, or give a policy.yaml"
        )


def refuse_pending(parts: Iterable[Part]) -> None:
    """Raise JobError where a part was stopped before it was done."""
    for part in parts:
        if part.pending:
            images = "1 image" if part.pending == 1 else f"{part.pending} images"
            raise JobError(
                f"{part.out} is not done, {images} of it wait to be annotated: go on with "
                f"'{in_shell('florence-annotate', 'resume', str(part.out))}', or without them with "
                "--allow-missing: what comes later gets ids behind the others"
            )


def refuse_missing_shards(parts: Iterable[Part]) -> None:
    """Raise JobError where some shards of a job are there, and others are not."""
    found: dict[int, set[int]] = defaultdict(set)
    for part in parts:
        if part.shard is not None:
            found[part.shard.count].add(part.shard.index)
    for count, indices in found.items():
        if missing := count - len(indices):
            lacking = (n for n in range(1, count + 1) if n not in indices)
            some = ", ".join(f"{n}/{count}" for n in islice(lacking, _EXAMPLES))
            more = f" and {missing - _EXAMPLES} more" if missing > _EXAMPLES else ""
            raise JobError(
                f"of {count} shards {missing} {'is' if missing == 1 else 'are'} not named: {some}"
                f"{more}. Annotate and name them too, or go on without them with --allow-missing: "
                "what comes later gets ids behind the others"
            )


@dataclass(frozen=True, slots=True)
class Moved:
    """Where the images of a part are whose sources lay elsewhere as it was annotated."""

    prefixes: Sequence[str]
    """Of its roots."""
    folders: Mapping[str, bytes]
    """Prefix → folder, of those that lie elsewhere."""

    def __call__(self, ref: ImageRef) -> ImageRef:
        prefix = max((each for each in self.prefixes if ref.key.startswith(each)), key=len)
        if prefix not in self.folders:
            return ref
        path = path_of(ref.key, ref.path, self.folders[prefix], prefix)
        return ref._replace(path=path)


@dataclass(slots=True)
class Sources:
    """What all of them were given, as one job has it."""

    roots: list[Root] = field(default_factory=list)
    named: list[str] = field(default_factory=list)
    include: list[str] = field(default_factory=list)
    exclude: list[str] = field(default_factory=list)
    moved: dict[Path, Moved] = field(default_factory=dict)
    """Of each part whose sources lay elsewhere, where they are."""

    @classmethod
    def of(cls, parts: Sequence[Part]) -> "Sources":
        """Raises JobError where one key could stand for two images, or two keys for one."""
        found = cls()
        first: dict[Root, Part] = {}
        # where a source lies elsewhere on another machine, it is where it is found from here
        for part in sorted(parts, key=lambda part: not part.is_here):
            moved: dict[str, bytes] = {}
            for root in part.roots:
                other = next((one for one in first if _contradict(one, root)), None)
                if other is None:
                    first.setdefault(root, part)
                    continue
                _refuse_two_sources(other, first[other], root, part)
                moved[root.prefix] = other.folder
            if moved:
                found.moved[part.out] = Moved([root.prefix for root in part.roots], moved)
            else:
                found.named += [name for name in part.sources if name not in found.named]
        found.roots = list(first)
        # all that any of them takes, and as little more as patterns can say
        if all(part.include for part in parts):
            found.include = list(dict.fromkeys(p for part in parts for p in part.include))
        patterns = dict.fromkeys(parts[0].exclude)
        found.exclude = [p for p in patterns if all(p in part.exclude for part in parts)]
        return found


def _contradict(one: Root, other: Root) -> bool:
    """Whether two roots are one folder with two prefixes, or two folders with one."""
    return (one.folder == other.folder) != (one.prefix == other.prefix)


def _refuse_two_sources(one: Root, here: Part, other: Root, there: Part) -> None:
    """Raise JobError, but for one source that lay at different places as parts were annotated."""
    folder, elsewhere = os.fsdecode(one.folder), os.fsdecode(other.folder)
    if one.folder == other.folder:
        raise JobError(
            f"the images of {folder} have keys that begin with {one.prefix!r} in {here.out}, and "
            f"with {other.prefix!r} in {there.out}, which were given other sources at first: "
            "annotate one of them anew with the sources of the other"
        )
    are_both_here = os.path.isdir(one.folder) and os.path.isdir(other.folder)
    if are_both_here and os.path.samefile(one.folder, other.folder):
        return
    if are_both_here or not here.is_akin_to(there):
        raise JobError(
            f"{here.out} counts its images from {folder}, and {there.out} from {elsewhere}, both "
            f"with keys that begin with {one.prefix!r}, so that one key would stand for two "
            "images: merge parts of the same sources alone, or annotate both sources in one job"
        )
