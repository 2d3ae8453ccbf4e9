"""One image: what was asked, what the model said, what is kept of it, what is left out and what
would bring it back, and what would be different from the last export."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from florence_annotate.answers import scores
from florence_annotate.config.job_spec import JobSpec
from florence_annotate.dataset import opening, settled
from florence_annotate.dataset.annotated_image import AnnotatedImage
from florence_annotate.errors import UsageError
from florence_annotate.images.patterns import is_wanted
from florence_annotate.journal import Assigned, Journal
from florence_annotate.journal.selection import Selected
from florence_annotate.reports.bringing_back import Return, bring_back
from florence_annotate.reports.finding import find_image
from florence_annotate.reports.trial import Trial
from florence_annotate.types import Answer, Dropped, Evidence, Failure, ImageRef, Instance


class State(StrEnum):
    """What became of an image."""

    ANNOTATED = "annotated"
    FAILED = "failed"
    PENDING = "pending"
    BEYOND_LIMIT = "beyond-limit"
    """--limit leaves it out of what is asked."""
    LEFT = "left"
    """No source names it any more."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a score is made of."""

    definition: str
    label: float | None = None
    """The probability of its label."""
    edges: tuple[float, ...] = ()
    """Of each edge, left, top, right and bottom, the probability that it is near enough."""
    power: float | None = None


@dataclass(frozen=True, slots=True)
class Fate:
    """Something that the model said, and what became of it."""

    label: str
    score: float
    box: tuple[float, float, float, float] | None
    class_name: str | None
    """None where it has no class."""
    task: str | None
    """The token of the task; None where it could not be read."""
    parts: Parts | None
    dropped: Dropped | None = None
    """None: it is kept."""
    back: Return | None = None
    """How it comes back, where it is dropped."""


@dataclass(frozen=True, slots=True)
class Since:
    """What another export would change."""

    settings: tuple[str, ...]
    """A line for each that has another value by now."""
    gained: tuple[Fate, ...]
    lost: tuple[Fate, ...]
    is_asked_again: bool
    """The image was annotated after the last export."""
    left_out: str | None
    """Why the last export has no such image; None where it has."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """All that is known of one image."""

    ref: ImageRef
    state: State
    spec: JobSpec
    """What the next export goes by."""
    failure: Failure | None = None
    assigned: Assigned | None = None
    answers: tuple[Answer, ...] = ()
    image: AnnotatedImage | None = None
    """As the next export has it; None where it was never annotated."""
    kept: tuple[Fate, ...] = ()
    dropped: tuple[Fate, ...] = ()
    since: Since | None = None
    """None where there was no export yet, or no answer."""


def explain(journal: Journal, out: Path, given: str) -> Explanation:
    """What became of an image of a job, and why; see `find_image` for what may be given.

    Raises UsageError for an image that the job does not have, and for a policy that does not fit
    it, JobError before the first run.
    """
    questions = opening.questions_of(journal)
    last = opening.last_spec(journal)
    spec = settled.apply(last, settled.read(journal, out))
    ref, selected = find_image(journal, out, given)
    latest = journal.selection.latest(ref.key)
    failure = None
    if latest is not None and latest["sha"] is None:
        failure = Failure(ref, latest["stage"], latest["kind"], latest["message"])
    if selected <= 0:
        state = State.LEFT
    elif latest is None:
        is_beyond = selected is Selected.BEYOND_LIMIT
        state = State.BEYOND_LIMIT if is_beyond else State.PENDING
    else:
        state = State.ANNOTATED if failure is None else State.FAILED
    assigned = journal.exports.assignments.of(ref.key)
    record = journal.record_of(ref.key)
    if record is None or latest is None:
        return Explanation(ref, state, spec, failure, assigned)
    trial = Trial(record, questions)
    image = trial.annotate(spec)
    return Explanation(
        record.ref,
        state,
        spec,
        failure,
        assigned,
        trial.record.answers,
        image,
        _kept(image),
        tuple(_of_dropped(one, bring_back(trial, spec, one), image) for one in image.dropped),
        _since(journal, last, spec, trial, int(latest["seq"])),
    )


def parts_of(evidence: Evidence | None) -> Parts | None:
    """What a score is made of; None where that is not the evidence of locations."""
    if evidence is None:
        return None
    if not evidence.spreads:
        return Parts("geometric-mean")
    label = scores.label_probability(evidence)
    return Parts(scores.DEFINITION, label, tuple(scores.edge_masses(evidence)), scores.POWER)


def _kept(image: AnnotatedImage) -> tuple[Fate, ...]:
    return tuple(
        _fate(one, image.class_names[one.class_id], one.label, one.score) for one in image.instances
    )


def _fate(instance: Instance, class_name: str | None, label: str, score: float) -> Fate:
    evidence = instance.evidence
    # of what a user gave the region of, the answer about it says how sure it is
    is_of_evidence = evidence is not None and abs(scores.score(evidence) - score) < 1e-9
    parts = parts_of(evidence) if is_of_evidence else None
    return Fate(label, score, instance.box, class_name, instance.task, parts)


def _of_dropped(dropped: Dropped, back: Return, image: AnnotatedImage) -> Fate:
    class_id = getattr(dropped.instance, "class_id", None)
    name = None if class_id is None else image.class_names[class_id]
    task = parts = None
    if dropped.instance is not None:
        known = _fate(dropped.instance, name, dropped.label, dropped.score)
        task, parts = known.task, known.parts
    return Fate(dropped.label, dropped.score, dropped.box, name, task, parts, dropped, back)


def _since(
    journal: Journal, last: JobSpec, spec: JobSpec, trial: Trial, attempt: int
) -> Since | None:
    policy = journal.exports.policy()
    if policy is None:
        return None
    exported = settled.apply(last, settled.of_export(policy))
    lines = tuple(settled.changes(journal, spec))
    before, now = _kept(trial.annotate(exported)), _kept(trial.annotate(spec))
    is_asked_again = attempt > journal.exports.last_attempt()
    return Since(
        lines,
        tuple(_without(now, before)),
        tuple(_without(before, now)),
        is_asked_again,
        None if is_asked_again else _left_out(journal, policy, trial, exported),
    )


def _without(fates: Sequence[Fate], others: Sequence[Fate]) -> list[Fate]:
    held = {(one.class_name, one.box, one.score) for one in others}
    return [one for one in fates if (one.class_name, one.box, one.score) not in held]


def _left_out(
    journal: Journal, policy: dict[str, object], trial: Trial, exported: JobSpec
) -> str | None:
    """Why the last export left an image out that was annotated by then."""
    key = trial.record.ref.key
    chosen = JobSpec.model_validate(
        {name: policy[name] for name in ("include", "exclude", "labelled_only") if name in policy}
    )
    image = trial.annotate(exported)
    if not image.was_asked:
        return "nothing was asked about it: the job has a text or regions for others, not for it"
    if not is_wanted(key, chosen.include, chosen.exclude):
        return "--include or --exclude"
    if chosen.labelled_only and not image.is_labelled:
        return "--labelled-only"
    if journal.exports.assignments.of(key) is None:
        return "its file was gone, or another one: summary.json names it under left_out"
    return None


def refuse_outside(explanation: Explanation, x: float, y: float) -> AnnotatedImage:
    """The image, which holds the point. Raises UsageError for one outside, or no image."""
    image = explanation.image
    if image is None:
        raise UsageError(
            f"--at: {explanation.ref.key} is {explanation.state}, so nothing was said about it yet"
        )
    if not (0 <= x <= image.width and 0 <= y <= image.height):
        raise UsageError(
            f"--at: {x:g},{y:g} is outside of {explanation.ref.key}, which has "
            f"{image.width} x {image.height} pixels"
        )
    return image
