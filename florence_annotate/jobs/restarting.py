"""A job that begins again where there is one: what that forgets, and which images leave by it."""

from pathlib import Path
from typing import Any

from florence_annotate.config import policy_file
from florence_annotate.config.job_spec import JobSpec
from florence_annotate.formats.upheavals import is_corrected
from florence_annotate.jobs import leaving
from florence_annotate.jobs.naming import sources_of
from florence_annotate.journal import Journal, exists


def judge(spec: JobSpec, out: Path, *, allow_missing: bool) -> dict[str, Any]:
    """Which annotated images of the job in `out` the sources name no more; see `leaving.judge`.

    The images keep their keys in the dataset that lies there, so the sources are named as for a
    job that goes on.
    """
    if not exists(out):
        return {}
    sources = sources_of(spec, out, restart=False)
    with Journal.open_existing(out) as journal:
        journal.selection.note(sources)
        return leaving.judge(journal, sources, allow_missing=allow_missing)


def forget(journal: Journal, out: Path, *, overwrite: bool) -> None:
    """Forget the job, but for what lies in its folders; the ids of classes stay where a person
    corrected labels, unless they may be lost.

    Raises JobError for a damaged journal, before anything is forgotten.
    """
    journal.check_exports()
    keeps_classes = not overwrite and is_corrected(journal, out)
    # before the job, which a killed restart would leave with its policy
    (out / policy_file.NAME).unlink(missing_ok=True)
    journal.restart(keeps_classes=keeps_classes)
