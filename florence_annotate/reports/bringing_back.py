"""What would bring a dropped box back: the settings to change, and their values.

Nothing is taken from the words of a reason: each change is tried on the image, and what drops the
box then is answered in turn, until it is kept.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from florence_annotate.classes import ClassSpec
from florence_annotate.classes.nearest import nearest_class
from florence_annotate.config import policy_file
from florence_annotate.config.job_spec import JobSpec, flag_of
from florence_annotate.dataset.annotated_image import AnnotatedImage
from florence_annotate.errors import UsageError
from florence_annotate.geometry.boxes import area, iou
from florence_annotate.reasons import Reason
from florence_annotate.reports.trial import Trial
from florence_annotate.tasks import by_token
from florence_annotate.types import Dropped, Instance, KeptInstance

_MOST_CHANGES = 50
"""Each lifts a reason, or names a nearer winner; there are hardly ever more than two."""


@dataclass(frozen=True, slots=True)
class Change:
    """Another value of a setting."""

    setting: str
    value: Any
    """As `JobSpec` has it."""
    class_name: str | None = None
    """Of the only class that differs, where the setting is the class list."""

    @property
    def written(self) -> str:
        """As a flag of `export`; of a class its entry in `policy.yaml`."""
        if self.class_name is not None:
            (spec,) = (one for one in self.value if one.name == self.class_name)
            return policy_file.spelled_class(spec)
        flag = flag_of(self.setting)
        if isinstance(self.value, bool):
            return flag if self.value else f"--no-{flag.removeprefix('--')}"
        return f"{flag} {Decimal(repr(self.value)):f}"


@dataclass(frozen=True, slots=True)
class Return:
    """How a box comes back."""

    changes: tuple[Change, ...]
    """Together they bring it back; empty where nothing does."""
    why_not: str = ""
    """Where nothing does, why, and what may be tried instead."""


def bring_back(trial: Trial, spec: JobSpec, dropped: Dropped) -> Return:
    """How something comes back that a specification drops of an image."""
    # edges are refined after all else, so that overlaps are those of the boxes as they were said
    spec = spec.model_copy(update={"refine_boxes": False})
    trial = trial.around(dropped, spec)
    changes: dict[tuple[str, str | None], Change] = {}
    left, image = dropped, trial.annotate(spec)
    for _ in range(_MOST_CHANGES):
        step = next(_lifting(trial, spec, left, image), None)
        if step is None:
            return Return((), _why_not(left, image))
        change, spec, image = step
        changes[change.setting, change.class_name] = change
        then = _outcome(dropped, image)
        if then is None:
            return Return(_last_of_each_class(changes.values(), spec))
        left = then
    return Return((), _why_not(left, image))


def _last_of_each_class(changes: Any, spec: JobSpec) -> tuple[Change, ...]:
    """The changes, those of the class list as it came to be in the end."""
    return tuple(
        replace(one, value=spec.classes) if one.setting == "classes" else one for one in changes
    )


def _lifting(
    trial: Trial, spec: JobSpec, dropped: Dropped, image: AnnotatedImage
) -> Iterator[tuple[Change, JobSpec, AnnotatedImage]]:
    """Changes after which it is not dropped for this reason any more, and what they make."""
    for change in _candidates(spec, dropped, image):
        changed = spec.model_copy(update={change.setting: change.value})
        try:
            annotated = trial.annotate(changed)
        except UsageError:  # no question of the job can find such a class, or it can have no such
            continue
        then = _outcome(dropped, annotated)
        if then is None or (then.reason, then.detail) != (dropped.reason, dropped.detail):
            yield change, changed, annotated


def _outcome(dropped: Dropped, image: AnnotatedImage) -> Dropped | None:
    """Why an image lacks something that was dropped before; None where it has it."""
    what = _identity(dropped.instance)
    if any(_identity(one) == what for one in image.instances):
        return None
    return next(one for one in image.dropped if one.instance and _identity(one.instance) == what)


def _identity(instance: Instance | None) -> object:
    """What is the same of an instance whatever settings make of it: its box may be refined."""
    assert instance is not None
    if instance.evidence is not None:
        return id(instance.evidence)  # which a trial reads once
    return instance.label, instance.score, instance.box, instance.task, instance.text


def _candidates(spec: JobSpec, dropped: Dropped, image: AnnotatedImage) -> Iterator[Change]:
    """What may lift a reason, the best first."""
    instance, size = dropped.instance, float(image.width * image.height)
    if instance is None:
        return
    if dropped.reason in (Reason.NO_CLASS, Reason.NO_OBJECT):
        yield from _of_labels(spec, instance)
    elif dropped.reason is Reason.ABSENT:
        yield Change("presence", False)
    elif dropped.reason is Reason.CONTAINER:
        yield Change("drop_containers", False)
    elif isinstance(instance, KeptInstance):
        if dropped.reason is Reason.MIN_SCORE:
            yield _limit(spec, instance, "min_score", _at_most(instance.score, 4))
        elif dropped.reason is Reason.MIN_AREA:
            yield _limit(spec, instance, "min_area", _at_most(area(instance.box), 1))
        elif dropped.reason is Reason.MAX_AREA:
            share = area(instance.box) / size
            yield _limit(spec, instance, "max_area", _at_least(share))
            # the policy multiplies, and rounds otherwise
            yield _limit(spec, instance, "max_area", _at_least(share + 1e-4))
        elif dropped.reason is Reason.NMS:
            winners = [one for one in image.instances if one.class_id == instance.class_id]
            yield Change("nms", _at_least(_overlap(instance, winners)))
        elif dropped.reason is Reason.NMS_ACROSS_CLASSES:
            winners = [one for one in image.instances if one.class_id != instance.class_id]
            yield Change("nms_across_classes", _at_least(_overlap(instance, winners)))


def _of_labels(spec: JobSpec, instance: Instance) -> Iterator[Change]:
    if spec.classes is not None and not spec.synonyms:
        yield Change("synonyms", True)
    if spec.classes is not None and spec.label_rules == 1:
        yield Change("label_rules", 2)
    class_list = spec.class_list()
    if class_list is not None and spec.classes is not None:
        if (nearest := nearest_class(instance.label, class_list)) is not None:
            own = next(one for one in spec.classes if one.name == nearest)
            yield _with_class(spec, replace(own, synonyms=(*own.synonyms, instance.label)))
        added = ClassSpec(instance.label)
        yield Change("classes", (*spec.classes, added), added.name)
    elif by_token(instance.task).labels_are_phrases:
        yield Change("label_rules", 1)


def _limit(spec: JobSpec, instance: KeptInstance, name: str, value: float) -> Change:
    """The limit of all, or of the class where it has its own."""
    if spec.classes is None or getattr(spec.classes[instance.class_id], name) is None:
        return Change(name, value)
    limits: dict[str, Any] = {name: value}
    return _with_class(spec, replace(spec.classes[instance.class_id], **limits))


def _with_class(spec: JobSpec, changed: ClassSpec) -> Change:
    """The class list with one class changed."""
    classes = tuple(changed if one.name == changed.name else one for one in spec.classes or ())
    return Change("classes", classes, changed.name)


def _overlap(instance: Instance, winners: Sequence[Instance]) -> float:
    """The most that an instance overlaps one of those that beat it."""
    better = (one for one in winners if one.score >= instance.score)
    return max((iou(one.box, instance.box) for one in better), default=1.0)


def _at_most(value: float, digits: int) -> float:
    """The value, rounded to what is no more than it."""
    return float(Decimal(value).quantize(Decimal(1).scaleb(-digits), ROUND_FLOOR))


def _at_least(value: float) -> float:
    """The value, rounded to what is no less than it, and no more than 1."""
    return min(1.0, float(Decimal(value).quantize(Decimal("0.0001"), ROUND_CEILING)))


_ASK_AGAIN = "annotate in another output"
_WHY_NOT = {
    Reason.NO_BOX: "the model gave it no place; ask for it by name (--strategy open-vocabulary)",
    Reason.TORN_BOX: f"a box needs four locations; {_ASK_AGAIN} with --constrain form",
    Reason.TORN_POLYGON: f"an outline needs three points; {_ASK_AGAIN} with --constrain form",
    Reason.TORN_QUAD: f"a quad needs eight locations; {_ASK_AGAIN} with --constrain form",
    Reason.OTHER_VIEW: "the better view of the same thing stands for it",
    Reason.WITNESS: "captions of regions were asked only to verify what was asked by name",
    Reason.ZERO_AREA: "nothing of it could be drawn",
    Reason.NO_LABEL: "without a label it has no class; ask by name (--strategy open-vocabulary)",
    Reason.NO_CLASS: "no class can have this label",
    Reason.NO_OBJECT: "it names no object",
    Reason.ASKED_BY_PROMPT: "what counts for this class is the answer to its own prompt",
}


def _why_not(dropped: Dropped, image: AnnotatedImage) -> str:
    if dropped.reason is not Reason.DUPLICATE:
        said = _WHY_NOT.get(dropped.reason, "no setting does it")
        is_torn = dropped.box is None and image.truncated
        return f"{said}, and a higher --max-new-tokens" if is_torn else said
    if any(
        one.box == dropped.box and one.class_id == _class_of(dropped) for one in image.instances
    ):
        return "the same box is kept, with the better score"
    return "the same box with the better score is left out too: bring that back"


def _class_of(dropped: Dropped) -> int | None:
    return dropped.instance.class_id if isinstance(dropped.instance, KeptInstance) else None
