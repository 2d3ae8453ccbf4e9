"""Whether a dataset is what a pipeline asks of it: the gates of `config.gate_settings`, judged."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from florence_annotate.classes.spelling import normalise
from florence_annotate.config.job_spec import JobSpec, flag_of
from florence_annotate.errors import UsageError, nearest
from florence_annotate.formats.outcome import Outcome
from florence_annotate.journal.journal import Counts


@dataclass(frozen=True, slots=True)
class Gate:
    """One that was asked, and what there is."""

    gate: str
    """The setting."""
    class_name: str | None
    """None: over all classes."""
    asked: str
    found: int
    of: int | None
    """The whole that `found` is a part of; None where only the number counts."""
    missed: str | None
    """A line that says how; None where it is met."""


def refuse_unknown(spec: JobSpec) -> None:
    """Raise UsageError for a gate of a class that is none of the job's.

    Without a class list every label may become a class: what was not found misses its gate.
    """
    if spec.classes is None:
        return
    names = [one.name for one in spec.classes]
    known = set(map(normalise, names))
    for name in spec.min_instances or ():
        if normalise(name) not in known:
            hint = nearest(name, names) or f"they are {', '.join(names[:10])}"
            raise UsageError(f"{flag_of('min_instances')}: there is no class {name!r}: {hint}")


def judge(spec: JobSpec, asked: Collection[str], counts: Counts, exported: Outcome) -> list[Gate]:
    """The gates among the settings that are `asked`, in the order of the help."""
    judged = [
        *_of_failures(spec, counts),
        *_of_labels(spec, exported),
        *_of_instances(spec, exported),
        *_of_truncated(spec, exported),
    ]
    return [gate for gate in judged if gate.gate in asked]


def _of_failures(spec: JobSpec, counts: Counts) -> Iterator[Gate]:
    allowed, failed, images = spec.max_failures, counts.failed, counts.images
    missed = None
    if not allowed.allows(failed, images):
        missed = (
            f"{flag_of('max_failures')} {allowed} is missed: {failed} of {images} images failed "
            "('florence-annotate failures' says why)"
        )
    yield Gate("max_failures", None, str(allowed), failed, images, missed)


def _of_labels(spec: JobSpec, exported: Outcome) -> Iterator[Gate]:
    if (least := spec.min_labelled) is None:
        return
    labelled = exported.statistics.labelled
    images = exported.statistics.images + exported.notes.unlabelled
    missed = None
    if not images or not least.is_reached(labelled, images):
        missed = (
            f"{flag_of('min_labelled')} {least} is missed: {labelled} of {images} images "
            "have a label"
        )
    yield Gate("min_labelled", None, str(least), labelled, images, missed)


def _of_instances(spec: JobSpec, exported: Outcome) -> Iterator[Gate]:
    spelled = {normalise(name): name for name in exported.class_names}
    for asked, least in (spec.min_instances or {}).items():
        name = spelled.get(normalise(asked))
        found = 0 if name is None else exported.statistics.instances[name]
        missed = None
        if found < least:
            hint = "" if name else nearest(asked, exported.class_names)
            missed = (
                f"{flag_of('min_instances')} {asked}={least} is missed: the dataset has {found}"
                + (f", {hint}" if hint else "")
            )
        yield Gate("min_instances", name or asked, str(least), found, None, missed)


def _of_truncated(spec: JobSpec, exported: Outcome) -> Iterator[Gate]:
    if (most := spec.max_truncated) is None:
        return
    truncated, images = len(exported.statistics.truncated), exported.statistics.images
    missed = None
    if most.is_exceeded(truncated, images):
        missed = (
            f"{flag_of('max_truncated')} {most} is missed: {truncated} of {images} images have an "
            "answer cut at the token limit (a larger --max-new-tokens with --restart asks again)"
        )
    yield Gate("max_truncated", None, str(most), truncated, images, missed)
