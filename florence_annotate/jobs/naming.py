"""The sources of a run, with the roots that the job has already."""

import os
from functools import partial
from pathlib import Path

from florence_annotate.config import job_spec, policy_file
from florence_annotate.config.job_spec import JobSpec
from florence_annotate.images import roots
from florence_annotate.images.codec import SUFFIXES
from florence_annotate.images.sources import Sources, lies_in
from florence_annotate.journal import Journal, exists, holds_journal
from florence_annotate.reports.page.folder import is_of_report
from florence_annotate.types import Root


def sources_of(spec: JobSpec, out: Path, *, restart: bool) -> Sources:
    """What a run is given, its keys as the job in `out` has them, unless that is forgotten; of a
    shard, its own images alone.

    Raises SourceError, UsageError and JobError.
    """
    name = partial(Sources, spec.sources, SUFFIXES, spec.include, spec.exclude, out)
    if restart or not exists(out):
        return name(what_is=_what_is, shard=spec.part())
    with Journal.open_existing(out) as journal:
        is_taken = journal.selection.has_below
        return name(roots_of(journal, out), is_taken, what_is=_what_is, shard=spec.part())


def _what_is(folder: bytes) -> str | None:
    """What a folder is that this program wrote; None for any other."""
    path = Path(os.fsdecode(folder), policy_file.NAME)
    if holds_journal(folder) or policy_file.target_of(path) is not None:
        return "the dataset of a job"
    return "a folder of a report" if is_of_report(folder) else None


def roots_of(journal: Journal, out: Path) -> list[Root]:
    """The roots of the job in a folder, also of one from before they were noted."""
    known, settings = journal.roots.known(), journal.runs.last_settings()
    if known or settings is None:
        return known
    sources = job_spec.load(settings).sources
    return roots.of_earlier(sources, SUFFIXES, lambda match, base: lies_in(match, out))
