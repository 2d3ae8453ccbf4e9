"""An export of a job without a run: to its own folder, or a whole dataset to another one."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from florence_annotate.config import job_spec, policy_file
from florence_annotate.config.job_spec import JobSpec
from florence_annotate.dataset import opening, settled
from florence_annotate.errors import UsageError
from florence_annotate.formats import export as formats
from florence_annotate.formats import hub, registry
from florence_annotate.formats.replacing import Replacing
from florence_annotate.formats.upheavals import no_longer_written, refuse_upheaval
from florence_annotate.jobs import fingerprint
from florence_annotate.jobs.writing import Writing, Written
from florence_annotate.journal import Journal, lock
from florence_annotate.reports import summary as summaries


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


@dataclass(frozen=True, slots=True)
class Result(Written):
    folder: Path


def run(request: Request, note: Callable[[str], None]) -> Result:
    """Export, and keep what was settled with it; `note` tells the user what changes.

    Raises JobError, LockedError, UsageError, ExportError and OutputError.
    """
    out = request.out.absolute()
    folder = (request.target or request.out).absolute()
    is_elsewhere = folder.resolve() != out.resolve()
    with Journal.open_existing(out):
        pass  # what can't be read is refused before anything is touched
    name = _refuse_foreign(folder, out) if is_elsewhere else None
    with ExitStack() as stack:
        for held in dict.fromkeys((out, folder)):
            stack.enter_context(lock.held(held))
        journal = stack.enter_context(Journal.open_to_write(out))
        home = None
        before = settled.read(journal, out)
        if is_elsewhere:
            home = Replacing(out, journal)
            journal.export_to(name)
            before = before if name is None else settled.read(journal, folder)
        spec = _specify(request, journal, before)
        names = _refuse(request, journal, folder, spec)
        for line in settled.changes(journal, spec):
            note(line)
        if gone := no_longer_written(journal, names):
            note(gone)
        if request.policy is None:
            settled.write(journal, folder, spec)
        exported = formats.export(
            journal, folder, spec, overwrite=request.overwrite, renumber=request.renumber, home=home
        )
        if not is_elsewhere:
            journal.selection.forget_left()
        if request.policy is None:
            settled.write(journal, folder, spec)
        bound = fingerprint.describe(journal)
        summary = summaries.summarise(journal, folder, spec, bound, exported)
        summaries.write_summary(folder, summary)
    return Result(folder, summary=summary, unwritten=bool(exported.unwritten))


def _refuse_foreign(folder: Path, out: Path) -> str | None:
    """The name that another folder bears; None for a new one.

    Raises UsageError for a folder that holds something else.
    """
    if folder.resolve() in out.resolve().parents or out.resolve() in folder.resolve().parents:
        raise UsageError(f"{folder} and {out} lie in each other: choose another folder with -o")
    file = policy_file.read(folder / policy_file.NAME)
    if file is not None and file.target is not None:
        return file.target
    # a command that was killed may have left its lock
    is_empty = folder.is_dir() and all(path.name == lock.FILE_NAME for path in folder.iterdir())
    if folder.exists() and not is_empty:
        raise UsageError(
            f"{folder} holds other files, and no dataset of this job: choose a new or an empty "
            "folder with -o"
        )
    return None


def _specify(request: Request, journal: Journal, before: Mapping[str, Any]) -> JobSpec:
    """The settings of the export."""
    spec = job_spec.change(opening.last_spec(journal), request.settings)
    if request.policy is not None:
        file = policy_file.read(request.policy)
        if file is None:
            raise UsageError(f"--policy: there is no file {request.policy}")
        classes = file.settings.get("classes", before.get("classes"))
        if request.target is None and classes != before.get("classes"):
            raise UsageError(
                f"--policy: {request.policy} has another class list than {request.out}: export it "
                "to a folder of its own with -o"
            )
        before = {**before, **file.settings}
    spec = settled.apply(spec, before)
    return registry.with_added(spec, request.add_formats, opening.questions_of(journal))


def _refuse(request: Request, journal: Journal, folder: Path, spec: JobSpec) -> tuple[str, ...]:
    """The formats that are written; what can't be done is refused before anything is."""
    names = registry.settle(spec, opening.questions_of(journal))
    if request.push_to_hub:
        hub.refuse_unpublishable(request.push_to_hub, names)
    opening.open_dataset(journal, spec)
    refuse_upheaval(
        *(journal, folder, spec, names), renumber=request.renumber, overwrite=request.overwrite
    )
    return names
