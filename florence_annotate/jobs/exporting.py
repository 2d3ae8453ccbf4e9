"""An export of a job without a run: to its own folder, or a whole dataset to another one."""

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from florence_annotate.config import job_spec, policy_file
from florence_annotate.config.job_spec import JobSpec
from florence_annotate.dataset import opening, settled
from florence_annotate.errors import ExportError, OutputError, SourceError, UsageError
from florence_annotate.formats import export as formats
from florence_annotate.formats import hub, registry, staging, upheavals
from florence_annotate.formats.replacing import Replacing
from florence_annotate.jobs import fingerprint, leaving, output, sharding
from florence_annotate.jobs.naming import roots_of
from florence_annotate.jobs.writing import Writing, Written
from florence_annotate.journal import FILE_NAME, Journal, lock
from florence_annotate.reports import gates
from florence_annotate.reports import summary as summaries

_LEFT_WHEN_KILLED = (lock.FILE_NAME, staging.FOLDER, policy_file.PART_NAME)
"""What a command may leave in a folder that was killed before it wrote a dataset there."""


@dataclass(frozen=True, slots=True)
class Request(Writing):
    """What is asked of an export."""

    out: Path
    """The job's folder."""
    settings: Mapping[str, Any]
    """Flags, in the forms that `job_spec.change` takes."""
    target: Path | None = None
    """Where the dataset goes, if not there."""
    policy: Path | None = None
    """The file that it goes by for once."""
    push_to_hub: str | None = None
    gates: Collection[str] = ()
    """Those that are judged beside the ones that a flag gives."""


@dataclass(frozen=True, slots=True)
class Result(Written):
    folder: Path


def run(request: Request, note: Callable[[str], None]) -> Result:
    """Export, and keep what was settled with it; `note` tells the user what changes.

    Raises JobError, LockedError, UsageError, SourceError, ExportError and OutputError.
    """
    out = output.real(request.out)
    folder = out if request.target is None else output.real(request.target)
    is_elsewhere = folder != out
    with opening.open_journal(out, checks_images=is_elsewhere) as journal:
        sharding.refuse_export(journal)
        # what can't be read, or written to, is refused before anything is touched
        name = _refuse_unusable(folder, out, journal) if is_elsewhere else None
    if is_elsewhere:
        _refuse_read_only(out, folder)
    with ExitStack() as stack:
        for held in dict.fromkeys((out, folder)):
            stack.enter_context(lock.held(held))
        # an export in which nothing changed takes less time than to check them
        journal = stack.enter_context(Journal.open_to_write(out, checks_images=is_elsewhere))
        journal.check_paths()  # it may be somebody else's: told also where nothing changed
        home = None
        before = settled.read(journal, out)
        if is_elsewhere:
            home = Replacing(out, journal)
            journal.export_to(name)
            before = before if name is None else settled.read(journal, folder)
        spec = _specify(request, journal, before)
        gates.refuse_unknown(spec)
        names = _refuse(request, journal, folder, spec)
        for line in (*settled.changes(journal, spec), *upheavals.notes(journal, spec, names)):
            note(line)
        stays = _what_stays(request, journal, folder, spec, before)

        def settle(class_names: Sequence[str]) -> None:
            if stays is not None:
                settled.write(journal, folder, stays, class_names)

        with _established(journal) if journal.exports.is_new else nullcontext():
            if is_elsewhere:
                journal.places.note(journal.exports.name, folder)
            exported = formats.export(
                *(journal, folder, spec),
                overwrite=request.overwrite,
                renumber=request.renumber,
                home=home,
                judge_lost=partial(
                    leaving.judge_lost, journal, allow_missing=request.allow_missing
                ),
                settle=settle,
            )
        if not is_elsewhere:
            journal.selection.forget_left()
        bound = fingerprint.describe(journal)
        # those of the last run were that run's
        counts, asked = journal.counts(), spec.by_flag | frozenset(request.gates)
        judged = gates.judge(spec, asked, counts, exported)
        summary = summaries.summarise(journal, folder, spec, bound, exported, counts, judged)
        if not is_elsewhere:
            journal.runs.note_written()
    return Result(folder, summary=summary, unwritten=bool(exported.unwritten))


def _refuse_unusable(folder: Path, out: Path, journal: Journal) -> str | None:
    """The name that another folder than the job's own bears; None for a new one.

    Raises UsageError for a folder that holds something else, also a copy of one of the job's, or
    that overlaps with the job's folder or its sources.
    """
    if folder in out.parents or out in folder.parents:
        raise UsageError(f"{folder} and {out} lie in each other: choose another folder with -o")
    roots = roots_of(journal, out)
    walked = [Path(os.fsdecode(root.folder)) for root in roots if root.is_walked]
    named = [] if len(walked) == len(roots) else _an_image_of_each_folder(journal)
    output.refuse_overlap(folder, walked, named)
    file = policy_file.read(folder / policy_file.NAME)
    if file is not None and file.target is not None:
        _refuse_copy(folder, out, journal, file.target)
        return file.target
    is_empty = folder.is_dir() and all(path.name in _LEFT_WHEN_KILLED for path in folder.iterdir())
    if folder.exists() and not is_empty:
        raise UsageError(
            f"{folder} holds other files, and no dataset of this job: choose a new or an empty "
            "folder with -o"
        )
    return None


def _refuse_read_only(out: Path, folder: Path) -> None:
    """Raise OutputError where the journal can't be written, in which an export to another folder
    notes what its images and classes have there."""
    if os.access(out, os.W_OK) and os.access(out / FILE_NAME, os.W_OK):
        return
    raise OutputError(
        f"{out} is read-only, and an export to {folder} writes to the job, too, which keeps the "
        "ids, splits and names of every folder it is exported to: make it writable, or copy its "
        f"{FILE_NAME} and {policy_file.NAME} into a new folder and export that one"
    )


def _an_image_of_each_folder(journal: Journal) -> list[Path]:
    found = {os.path.dirname(ref.path): ref.path for ref in journal.selection.refs()}
    return [Path(os.fsdecode(path)) for path in found.values()]


def _refuse_copy(folder: Path, out: Path, journal: Journal, name: str) -> None:
    """Raise UsageError for a folder that bears the name of another one that is still there: what is
    known of that one's files would be taken for what is known of its."""
    if name == journal.exports.name:
        raise UsageError(
            f"{folder} is a copy of the job's folder {out}, by the target in its policy.yaml: "
            "choose a new or an empty folder with -o"
        )
    place = journal.places.of(name)
    if place is None or place == folder or policy_file.target_of(place / policy_file.NAME) != name:
        return  # it was moved
    if not place.samefile(folder):
        raise UsageError(
            f"{folder} is a copy of {place}, by the target in its policy.yaml: export to that one, "
            "or choose a new or an empty folder with -o"
        )


@contextmanager
def _established(journal: Journal) -> Iterator[None]:
    """A new folder is known to the journal from now on, unless it turns out that there is nothing
    to be exported to it. Raises JobError for a damaged journal."""
    journal.check_exports()
    journal.exports.establish()
    try:
        yield
    except (UsageError, SourceError, ExportError):  # raised before the first file is moved
        journal.places.forget(journal.exports.name)
        journal.exports.abandon()
        raise


def _what_stays(
    request: Request,
    journal: Journal,
    folder: Path,
    spec: JobSpec,
    before: Mapping[str, Any],
) -> JobSpec | None:
    """What is to stand in the folder's policy; None: what is there, since the export goes by
    another one for once."""
    if request.policy is None or journal.exports.is_new:
        return spec
    if (folder / policy_file.NAME).exists():
        return None
    return settled.apply(opening.last_spec(journal), before)


def _specify(request: Request, journal: Journal, before: Mapping[str, Any]) -> JobSpec:
    """The settings of the export; `before` are those that are settled, of a new folder those of the
    job's own."""
    spec = job_spec.change(opening.last_spec(journal), request.settings)
    if request.policy is not None:
        file = policy_file.read(request.policy)
        if file is None:
            raise UsageError(f"--policy: there is no file {request.policy}")
        classes = file.settings.get("classes", before.get("classes"))
        if not journal.exports.is_new and classes != before.get("classes"):
            raise UsageError(
                f"--policy: {request.policy} has another class list than "
                f"{request.target or request.out}: export it to a new folder with -o"
            )
        before = {**before, **file.settings}
    spec = settled.apply(spec, before)
    return registry.with_added(spec, request.add_formats, opening.questions_of(journal))


def _refuse(request: Request, journal: Journal, folder: Path, spec: JobSpec) -> tuple[str, ...]:
    """The formats that are written; what can't be done is refused before anything is."""
    names = registry.settle(spec, opening.questions_of(journal))
    if request.push_to_hub:
        hub.refuse_unpublishable(request.push_to_hub, names)
    rule = opening.open_dataset(journal, spec).split_rule
    upheavals.refuse_upheaval(
        *(journal, folder, spec, rule, names),
        renumber=request.renumber,
        overwrite=request.overwrite,
    )
    return names
