"""Several jobs, as the shards of a job array, become one: its journal, then its dataset.

The new journal lies in a folder of its own until it holds all that it is made of. What a merge that
was killed has taken over already is not read again, and so a job that was merged before takes over
what its parts have got since.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from florence_annotate.config import job_spec, policy_file
from florence_annotate.config.gate_settings import GateSettings
from florence_annotate.config.job_spec import JobSpec
from florence_annotate.dataset import settled, splits
from florence_annotate.errors import JobError, OutputError, UsageError
from florence_annotate.jobs import exporting, output, parts
from florence_annotate.jobs.outlook import has_content
from florence_annotate.jobs.parts import Common, Part
from florence_annotate.journal import FILE_NAME, Journal, exists, lock
from florence_annotate.journal.merging import STAGING, Merging
from florence_annotate.journal.selection import Selected
from florence_annotate.questions.texts import SIDECAR
from florence_annotate.types import ImageRef

_EXAMPLES = 3
_MERGED = "merged"
"""The value of a job that says what it was merged of; see `_Merged`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked of a merge."""

    outs: Sequence[Path]
    """The jobs, the first ones first in what they say of one image."""
    out: Path
    """Where the new job goes, or the one that they were merged to before."""
    settings: Mapping[str, Any]
    """Flags of the export, in the forms that `job_spec.change` takes."""
    policy: Path | None = None
    """A file, or one of the jobs, whose policy the new one has."""
    allow_missing: bool = False
    """Shards, parts of before and folders of images may be missing."""


@dataclass(frozen=True, slots=True)
class _Merged:
    """What a job was merged of, and how far that is."""

    parts: Sequence[Path]
    run: int
    """Of the latest merge."""
    is_finished: bool
    has_own_runs: bool
    """Whether the job has chosen its images by itself since; then no merge does any more."""

    @classmethod
    def of(cls, journal: Journal) -> "_Merged | None":
        """None for a job that was not merged."""
        value = journal.value(_MERGED)
        if value is None:
            return None
        with journal.reading("what it was merged of"):
            parts = [Path(os.fsdecode(bytes.fromhex(part))) for part in value["parts"]]
            return cls(**value | {"parts": parts})

    def note(self, journal: Journal) -> None:
        """Keep it; paths, which may be no UTF-8, by their bytes in hexadecimal."""
        parts = [os.fsencode(part).hex() for part in self.parts]
        journal.set_value(_MERGED, asdict(self) | {"parts": parts})


def is_unfinished(journal: Journal) -> bool:
    """Whether a job was stopped as it took over what its parts have got since."""
    merged = _Merged.of(journal)
    return merged is not None and not merged.is_finished and journal.last_run() <= merged.run


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
        plan = _plan(request, out, outs)
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


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be done; nothing has been written yet."""

    outs: Sequence[Path]
    common: Common
    spec: JobSpec
    """The settings that the job has from now on."""
    sources: parts.Sources
    merged: _Merged | None
    """What the job is made of; None of a new one."""

    @property
    def parts(self) -> list[Path]:
        """All that the job is made of from now on."""
        before = self.merged.parts if self.merged else ()
        return list(dict.fromkeys([*before, *self.outs]))

    def where(self, part: Journal) -> Callable[[ImageRef], ImageRef]:
        """Where the images of a part lie, seen from here."""
        return self.sources.moved.get(part.path.parent, lambda ref: ref)

    @property
    def chooses_images(self) -> bool:
        """Whether the job's images are those that the parts have, and no others."""
        if self.merged is None:
            return True
        return not self.merged.has_own_runs and len(self.parts) == len(self.outs)


def _plan(request: Request, out: Path, outs: Sequence[Path]) -> _Plan:
    own = own_part = merged = None
    is_settled = False
    if exists(out):
        with Journal.open_existing(out) as journal:
            merged = _merged_before(journal, outs, request)
            own = Common.of(journal, out)
            own_part = Part.of(journal, out, own.spec, merged.parts)
            is_settled = journal.exports.policy() is not None
        is_settled = is_settled or (out / policy_file.NAME).exists()
    else:
        output.refuse_other_files(out, beside=STAGING)
    is_compared = request.policy is None and not is_settled
    policy = settled.KEPT if is_compared else ()
    common, found = parts.look(outs, own, set(policy) - _flags(request))
    if not request.allow_missing:
        parts.refuse_missing_shards(found)
    for part in found:
        walked = [Path(os.fsdecode(root.folder)) for root in part.roots if root.is_walked]
        output.refuse_overlap(out, walked, ())
    sources = parts.Sources.of([*([own_part] if own_part else []), *found])
    chosen = _chosen_policy(request, common)
    if is_settled:
        _refuse_other_policy(out, common.policy, chosen)
    spec = common.spec
    if merged is None or not merged.has_own_runs:
        spec = settled.apply(spec, chosen).model_copy(
            update={
                "sources": tuple(sources.named),
                "include": tuple(sources.include),
                "exclude": tuple(sources.exclude),
                "shard": None,
            }
        )
    return _Plan(outs, common, spec, sources, merged)


def _merged_before(journal: Journal, outs: Sequence[Path], request: Request) -> _Merged:
    """Raises JobError for a job that was not merged, or of others too."""
    merged, out = _Merged.of(journal), journal.path.parent
    if merged is None:
        raise JobError(
            f"{out} holds a job that was not merged: choose another output with -o, and name it "
            "as one that is merged if it is to be a part of that"
        )
    lacking = [part for part in merged.parts if part not in outs]
    if lacking and not request.allow_missing:
        raise JobError(
            f"{out} was merged of {lacking[0]} too, which is not named now: name it, go on without "
            "it with --allow-missing, or choose another output with -o"
        )
    has_run = journal.last_run() > merged.run
    return replace(merged, has_own_runs=merged.has_own_runs or has_run)


def _flags(request: Request) -> set[str]:
    """The settings that are given."""
    given = {name for name, value in request.settings.items() if value is not None}
    return given | ({"classes"} if "classes_file" in given else set())


def _chosen_policy(request: Request, common: Common) -> Mapping[str, Any]:
    if request.policy is None:
        return common.policy
    if request.policy.is_dir():
        with parts.opened(request.policy) as journal:
            return settled.read(journal, request.policy)
    file = policy_file.read(request.policy)
    if file is None:
        raise UsageError(f"--policy: there is no file or folder {request.policy}")
    return {**common.policy, **file.settings}


def _refuse_other_policy(out: Path, own: Mapping[str, Any], chosen: Mapping[str, Any]) -> None:
    if differ := policy_file.differences(own, chosen):
        raise UsageError(
            f"--policy: {out} has a policy of its own by now ({'; '.join(differ)}): edit "
            f"{out / policy_file.NAME}, or give flags"
        )


def _take_anew(out: Path, plan: _Plan, note: Callable[[str], None]) -> None:
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


def _is_begun(staging: Path, plan: _Plan) -> bool:
    """Whether a merge of the same jobs was stopped: what was taken over of others is no use."""
    if staging.is_symlink() or not exists(staging):
        return False
    try:
        with Journal.open_to_write(staging) as journal:
            merged = _Merged.of(journal)
    except JobError:
        return False
    return merged is not None and merged.parts == plan.parts


def _take(journal: Journal, plan: _Plan, note: Callable[[str], None]) -> None:
    """Make of a journal what the plan says, from whatever state a killed merge left it in."""
    has_own_runs = plan.merged is not None and plan.merged.has_own_runs
    merged = _Merged(plan.parts, journal.last_run() + 1, False, has_own_runs)
    merged.note(journal)  # before it begins: a run that is not noted would be one of its own
    run_id = journal.begin_run(job_spec.dump(plan.spec))
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
    journal.end_run(run_id, report, is_to_be_written=True)
    replace(merged, is_finished=True).note(journal)
    if merging.undecided:
        note(_told(merging.undecided))


def _selected(plan: _Plan) -> Iterator[tuple[ImageRef, Selected]]:
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


def _bind(journal: Journal, plan: _Plan) -> None:
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
