"""What a merge is to do, by what its jobs hold; nothing is written yet."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from florence_annotate.config import job_spec, policy_file
from florence_annotate.config.job_spec import JobSpec
from florence_annotate.dataset import opening, settled
from florence_annotate.errors import JobError, UsageError
from florence_annotate.formats import registry
from florence_annotate.jobs import output, parts
from florence_annotate.jobs.parts import Common, Part
from florence_annotate.journal import Journal, exists
from florence_annotate.journal.merging import STAGING
from florence_annotate.reports import gates
from florence_annotate.types import ImageRef

_MERGED = "merged"
"""The value of a job that says what it was merged of; see `Merged`."""


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
    """Shards, parts of before, images that wait to be annotated and folders of images may be
    missing."""


@dataclass(frozen=True, slots=True)
class Merged:
    """What a job was merged of, and how far that is."""

    parts: Sequence[Path]
    run: int
    """Of the latest merge."""
    is_finished: bool
    has_own_runs: bool
    """Whether the job has chosen its images by itself since; then no merge does any more."""

    @classmethod
    def of(cls, journal: Journal) -> "Merged | None":
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


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done; nothing has been written yet."""

    outs: Sequence[Path]
    common: Common
    spec: JobSpec
    """The settings that the job has from now on."""
    sources: parts.Sources
    merged: Merged | None
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


def make(request: Request, out: Path, outs: Sequence[Path]) -> Plan:
    """Raises JobError and UsageError for what can't be merged, or not to there."""
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
        parts.refuse_pending(found)
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
    _refuse_unfit(job_spec.change(spec, request.settings), common)
    return Plan(outs, common, spec, sources, merged)


def _refuse_unfit(spec: JobSpec, common: Common) -> None:
    """Raise UsageError for settings of the dataset that don't fit, before anything is read."""
    gates.refuse_unknown(spec)
    registry.settle(spec, opening.questions_in(common.begun.asked))


def _merged_before(journal: Journal, outs: Sequence[Path], request: Request) -> Merged:
    """Raises JobError for a job that was not merged, or of others too."""
    merged, out = Merged.of(journal), journal.path.parent
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
    has_run = journal.runs.last() > merged.run
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
