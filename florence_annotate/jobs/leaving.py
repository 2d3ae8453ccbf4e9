"""Annotated images that the sources no longer name: they leave the dataset, but not silently."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from florence_annotate.dataset.opening import last_spec
from florence_annotate.errors import JobError, SourceError, UsageError
from florence_annotate.images.absence import Absence, Absent
from florence_annotate.images.sources import Sources
from florence_annotate.jobs.naming import sources_of
from florence_annotate.journal import Journal
from florence_annotate.types import ImageRef

_EXAMPLES = 3


@dataclass(slots=True)
class Leaving:
    """How many images leave, why, and which folders failed."""

    counts: Counter[Absence] = field(default_factory=Counter)
    examples: dict[Absence, list[str]] = field(default_factory=dict)
    """The first keys of each reason."""
    failed: Counter[Absent] = field(default_factory=Counter)
    """How many images each folder held that failed."""

    @classmethod
    def of(cls, leaving: Iterable[tuple[str, bytes]], sources: Sources) -> Self:
        """Of images by key and path, after all images of the sources have been seen."""
        found = cls()
        for key, path in leaving:
            absent = sources.why_absent(key, path)
            found.counts[absent.why] += 1
            examples = found.examples.setdefault(absent.why, [])
            if len(examples) < _EXAMPLES:
                examples.append(key)
            if absent.why.is_failure:
                found.failed[absent] += 1
        return found

    def refuse_failed(self, out: Path, *, are_others_left: bool = True) -> None:
        """Raise SourceError where folders failed: their images were not deleted by anybody."""
        if not self.failed:
            return
        (first, count), *others = self.failed.most_common()
        more = f" (and {len(others)} more such folders)" if others else ""
        folder = os.fsdecode(first.folder or b"")
        without = ", or leave its images out of the dataset with --allow-missing"
        raise SourceError(
            f"{folder!r} {first.why.words}, and {_count(count)} of the dataset {out} came from "
            f"there{more}: mount it or make it readable and give the same command again"
            + (without if are_others_left else "; without it no image would be left")
        )

    def described(self) -> dict[str, Any]:
        """JSON values: reason → how many, and a few keys."""
        return {
            str(why): {"count": self.counts[why], "examples": self.examples[why]}
            for why in Absence
            if self.counts[why]
        }


def judge(journal: Journal, sources: Sources, *, allow_missing: bool) -> dict[str, Any]:
    """Which images leave, as JSON values, once those of the sources are noted in the journal.

    Raises SourceError where folders failed, unless that is allowed.
    """
    found = Leaving.of(journal.selection.leaving(), sources)
    if not allow_missing:
        found.refuse_failed(journal.path.parent)
    return found.described()


def select(
    journal: Journal,
    sources: Sources,
    limit: int | None,
    note: Callable[[str], None],
    *,
    allow_missing: bool,
) -> dict[str, Any]:
    """Make the images of the sources the job's; returns which leave it. See `judge`.

    Also raises JobError where another run has changed the roots since the sources were named.
    """
    noted = journal.roots.known()
    if noted and noted != list(sources.known):
        raise JobError(
            f"another run gave the job in {journal.path.parent} other sources just now: give the "
            "same command again"
        )
    journal.selection.note(sources, limit)
    is_news = journal.selection.is_news()
    left = judge(journal, sources, allow_missing=allow_missing) if is_news else {}
    if left:
        note(told(left))
    # before the keys, which would be in the way of their own prefix
    journal.roots.replace(sources.roots)
    if is_news:
        journal.selection.take_over()
    return left


def judge_lost(
    journal: Journal, count: int, lost: Iterable[ImageRef], *, allow_missing: bool
) -> None:
    """Raise SourceError where an export would leave out images whose files it did not find, and
    that is not since somebody deleted them, but since folders failed; unless that is allowed."""
    if allow_missing:
        return
    out = journal.path.parent
    try:
        sources = sources_of(last_spec(journal), out, restart=False)
    except (SourceError, UsageError) as error:
        raise SourceError(
            f"{_count(count)} of the dataset {out} can't be found: {error}; or leave them out "
            "of the dataset with --allow-missing"
        ) from error
    for _ in sources:
        pass  # what can't be read is known then
    Leaving.of(((ref.key, ref.path) for ref in lost), sources).refuse_failed(out)


def told(described: Mapping[str, Any]) -> str:
    """What `Leaving.described` gives, as a line; it is not empty."""
    total = sum(each["count"] for each in described.values())
    leave = "leaves" if total == 1 else "leave"
    reasons = (_told_reason(why, described[why]) for why in Absence if why in described)
    return f"{_count(total)} {leave} the dataset: {'; '.join(reasons)}"


def _told_reason(why: Absence, each: Mapping[str, Any]) -> str:
    words = f"in a folder that {why.words}" if why.is_failure else why.words
    more = ", …" if each["count"] > len(each["examples"]) else ""
    return f"{each['count']} {words} ({', '.join(each['examples'])}{more})"


def _count(count: int) -> str:
    return "1 annotated image" if count == 1 else f"{count} annotated images"
