"""The sources of a run, with the roots that the job has already."""

from pathlib import Path

from florence_annotate.config.job_spec import JobSpec
from florence_annotate.images import roots
from florence_annotate.images.codec import SUFFIXES
from florence_annotate.images.sources import Sources, lies_in
from florence_annotate.journal import Journal, holds_journal
from florence_annotate.types import Root


def sources_of(spec: JobSpec, out: Path, journal: Journal | None, last: JobSpec | None) -> Sources:
    """What a run is given, its keys as the job has them; `last` are the settings of its last run.

    Raises SourceError and UsageError.
    """
    known: list[Root] = []
    if journal is not None:
        known = journal.roots.known()
        if not known and last is not None:
            known = roots.of_earlier(last.sources, SUFFIXES, lambda match, _: lies_in(match, out))
    return Sources(
        spec.sources,
        SUFFIXES,
        spec.include,
        spec.exclude,
        out,
        known,
        journal.selection.has_below if journal else lambda name: False,
        holds_journal,
    )
