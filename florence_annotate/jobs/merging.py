"""Several jobs, as the shards of a job array, become one: its journal, then its dataset.

The new journal lies in a folder of its own until it holds all that it is made of. What a merge that
was killed has taken over already is not read again, and so a job that was merged before takes over
what its parts have got since.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from florence_annotate.config import job_spec
from florence_annotate.config.gate_settings import GateSettings
from florence_annotate.dataset import splits
from florence_annotate.errors import JobError, OutputError, UsageError
from florence_annotate.jobs import exporting, merge_plan, output, parts
from florence_annotate.jobs.merge_plan import Merged, Plan, Request
from florence_annotate.jobs.outlook import has_content
from florence_annotate.journal import FILE_NAME, Journal, exists, lock
from florence_annotate.journal.merging import STAGING, Merging
from florence_annotate.journal.selection import Selected
from florence_annotate.questions.texts import SIDECAR
from florence_annotate.types import ImageRef

_EXAMPLES = 3


def was_last(journal: Journal) -> bool:
    """Whether the last run of a job was a merge: it has had none of its own since."""
    merged = Merged.of(journal)
    return merged is not None and journal.runs.last() <= merged.run


def is_unfinished(journal: Journal) -> bool:
    """Whether a job was stopped as it took over what its parts have got since."""
    merged = Merged.of(journal)
    return merged is not None and not merged.is_finished and was_last(journal)


def run(request: Request, note: Callable[[str], None]) -> exporting.Result:
    """Merge, then export; `note` tells the user what goes on.

    Raises JobError, LockedError, UsageError, SourceError, ExportError and OutputError.
    """
    out = output.real(request.out)
    outs = list(dict.fromkeys(map(output.real, request.outs)))
    for each in outs:
        if each == out or each in out.parents or out in each.parents:
            raise UsageError(
                f"the output {out} and {each}, which is to be merged, are one folder or lie in "
                "each other: choose another output with -o"
            )
    output.refuse_no_folder(out)
    with lock.held(out):
        plan = merge_plan.make(request, out, outs)
        if plan.merged is None:
            _take_anew(out, plan, note)
        else:
            with Journal.open_to_write(out) as journal:
                _take(journal, plan, note)
    # the dataset is that of runs of which none was held to its gates
    gates = tuple(GateSettings.model_fields)
    return exporting.run(
        exporting.Request(out, request.settings, gates=gates, allow_missing=request.allow_missing),
        note,
    )


def _take_anew(out: Path, plan: Plan, note: Callable[[str], None]) -> None:
    staging = out / STAGING
    if os.path.lexists(staging) and not _is_begun(staging, plan):
        with _explained(staging):
            shutil.rmtree(staging)
    with Journal.create(staging) as journal:
        _take(journal, plan, note)
    with _explained(out / FILE_NAME):
        os.replace(staging / FILE_NAME, out / FILE_NAME)
        staging.rmdir()


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError.at(path, error) from error


def _is_begun(staging: Path, plan: Plan) -> bool:
    """Whether a merge of the same jobs was stopped: what was taken over of others is no use."""
    if staging.is_symlink() or not exists(staging):
        return False
    try:
        with Journal.open_to_write(staging) as journal:
            journal.check_exports()
            merged = Merged.of(journal)
    except JobError:
        return False
    return merged is not None and merged.parts == plan.parts


def _take(journal: Journal, plan: Plan, note: Callable[[str], None]) -> None:
    """Make of a journal what the plan says, from whatever state a killed merge left it in."""
    has_own_runs = plan.merged is not None and plan.merged.has_own_runs
    merged = Merged(plan.parts, journal.runs.last() + 1, False, has_own_runs)
    merged.note(journal)  # before it begins: a run that is not noted would be one of its own
    run_id = journal.runs.begin(job_spec.dump(plan.spec))
    journal.selection.note_selected(_selected(plan))
    if plan.chooses_images and (left := sum(1 for _ in journal.selection.leaving())):
        images = "1 annotated image leaves" if left == 1 else f"{left} annotated images leave"
        it = "it" if left == 1 else "them"
        note(f"{images} the dataset: none of the merged jobs has {it} any more")
    journal.roots.replace(plan.sources.roots)
    journal.selection.take_over(are_all=plan.chooses_images)
    merging = Merging(journal, run_id, has_content, has_own_texts=plan.spec.texts == SIDECAR)
    for number, other in enumerate(_opened(plan.outs), start=1):
        note(f"{number} of {len(plan.outs)}: {other.path.parent}")
        merging.take(other, plan.where(other))
    if plan.merged is None:
        _bind(journal, plan)
    counts = journal.counts()
    report = {
        "annotated": counts.annotated,
        "failed": counts.failed,
        "interrupted": False,
        "routes": plan.common.routes,
        "skipped": [{"name": name, "reason": why} for name, why in plan.common.skipped],
        "merged": [os.fsdecode(out) for out in plan.outs],
        "undecided": merging.undecided,
    }
    journal.runs.end(run_id, report, is_to_be_written=True)
    replace(merged, is_finished=True).note(journal)
    if merging.undecided:
        note(_told(merging.undecided))


def _selected(plan: Plan) -> Iterator[tuple[ImageRef, Selected]]:
    """The images of all parts, one part after the other."""
    for journal in _opened(plan.outs):
        where = plan.where(journal)
        for ref, selected in journal.selection.each():
            if selected > Selected.NO:
                yield where(ref), selected


def _opened(outs: Iterable[Path]) -> Iterator[Journal]:
    for out in outs:
        with parts.opened(out) as journal:
            yield journal


def _bind(journal: Journal, plan: Plan) -> None:
    """Bind the job to what its parts are bound to; it splits its images as a new one does."""
    begun = plan.common.begun
    journal.set_value("asked", begun.asked)
    journal.set_value("decoding", begun.fingerprint.decoding)
    journal.set_value("score", begun.fingerprint.score)
    keys = (ref.key for ref in journal.selection.refs())
    prefixes = (root.prefix for root in plan.sources.roots)
    journal.set_value(splits.BEGUN_WITH, splits.begin(keys, prefixes))
    journal.set_value("fingerprint", begun.fingerprint.dump())


def _told(undecided: Sequence[str]) -> str:
    some = ", ".join(undecided[:_EXAMPLES]) + (", …" if len(undecided) > _EXAMPLES else "")
    was = "1 image was" if len(undecided) == 1 else f"{len(undecided)} images were"
    return (
        f"{was} annotated with other bytes than in a journal before, and the file has neither or "
        f"is gone; what the first one says stays: {some} (run the job again to ask about the file)"
    )
