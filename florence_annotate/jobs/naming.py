"""The sources of a run, with the roots that the job has already."""

from functools import partial
from pathlib import Path

from florence_annotate.config import job_spec
from florence_annotate.config.job_spec import JobSpec
from florence_annotate.images import roots
from florence_annotate.images.codec import SUFFIXES
from florence_annotate.images.sources import Sources, lies_in
from florence_annotate.journal import Journal, exists, holds_journal
from florence_annotate.types import Root


def sources_of(spec: JobSpec, out: Path, *, restart: bool) -> Sources:
    """What a run is given, its keys as the job in `out` has them, unless that is forgotten.

    Raises SourceError, UsageError and JobError.
    """
    name = partial(Sources, spec.sources, SUFFIXES, spec.include, spec.exclude, out)
    if restart or not exists(out):
        return name(is_dataset=holds_journal)
    with Journal.open_existing(out) as journal:
        is_taken = journal.selection.has_below
        return name(_known(journal, out), is_taken, is_dataset=holds_journal)


def _known(journal: Journal, out: Path) -> list[Root]:
    known, settings = journal.roots.known(), journal.last_settings()
    if known or settings is None:
        return known
    sources = job_spec.load(settings).sources
    return roots.of_earlier(sources, SUFFIXES, lambda match, base: lies_in(match, out))
