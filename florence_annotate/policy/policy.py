"""What the dataset keeps of what the model said, and why it leaves the rest out.

A policy never needs the model: it can be changed, and the dataset written again, at any time.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from florence_annotate.classes import ClassList, ClassSpec
from florence_annotate.classes.empty_phrases import names_nothing
from florence_annotate.geometry.boxes import area, clipped, iou
from florence_annotate.geometry.overlaps import overlapping
from florence_annotate.policy.captions import CaptionSettings
from florence_annotate.policy.containers import find_containers
from florence_annotate.policy.thresholds import Thresholds
from florence_annotate.reasons import Reason
from florence_annotate.tasks import GROUNDING, OPEN_VOCABULARY, by_token
from florence_annotate.types import Box, Dropped, Instance, KeptInstance


@dataclass(frozen=True, slots=True)
class Policy:
    """Filters in the order in which they are applied.

    1. Boxes are clipped to the image, their corners put in order. `zero-area` boxes go, and
       `witness`, what only a question points at that is there to verify others.
    2. Labels become classes by `find`, phrases by `find_phrase`: `no-class` where there is none,
       `no-object` where the phrase names none, `no-label` where the model gave none,
       `asked-by-prompt` where another question names a class that a prompt of its own
       looks for, `absent` where no second question verifies the answer to such a prompt.
    3. `duplicate`: the same class and box again; the higher score stays.
    4. `min-score`; `min-area`: boxes of fewer square pixels; `max-area`: boxes that cover more of
       the image.
    5. `container`: the hull of several others of the same class and task, of those that are left.
    6. `nms`: overlap with a better instance of the same class above `nms`, as intersection over
       union, and `nms-across-classes` with one of another class; the detail names the winner.
    """

    find: Callable[[str], int | None]
    """The class id of a label."""
    thresholds: Thresholds = field(default_factory=Thresholds)
    prompted: frozenset[int] = frozenset()
    """Ids of the classes that have a prompt of their own."""
    to_verify: ClassList | None = None
    """Those of the classes that were asked by name have to be verified; None: none has."""
    asked_to_verify: frozenset[str] = frozenset()
    """Tasks that were asked only to verify others."""
    captions: CaptionSettings = field(default_factory=CaptionSettings)
    """How the texts about an image are written; see `florence_annotate.policy.captions`."""
    find_phrase: Callable[[str], int | None] | None = None
    """The class id of a phrase; None: phrases are labels like others."""
    classes: Sequence[ClassSpec] = ()
    """By id; a class may have limits of its own. Empty: every label is a class."""

    def apply(
        self,
        instances: Sequence[Instance],
        width: int,
        height: int,
        verified: frozenset[int] | None = None,
    ) -> tuple[list[KeptInstance], list[Dropped]]:
        """Kept instances with class ids, in the order given, and the dropped ones.

        The image is `width` by `height` pixels. `verified` holds the ids of the classes that other
        questions find on it; None: nothing has to be verified.
        """
        dropped: list[Dropped] = []
        candidates: list[KeptInstance] = []
        for instance in instances:
            box = clipped(instance.box, width, height)
            found = self._classify(instance, box, verified)
            if isinstance(found, Reason):
                dropped.append(_drop(replace(instance, box=box), found))
            else:
                candidates.append(KeptInstance.of(instance, found, box))
        kept = self._best_first(candidates, (width, height), dropped)
        return [instance for instance in candidates if id(instance) in kept], dropped

    def _classify(
        self, instance: Instance, box: Box, verified: frozenset[int] | None
    ) -> int | Reason:
        """The class of an instance that lies in a box of the image, or why it has none."""
        x1, y1, x2, y2 = box
        if instance.task in self.asked_to_verify:
            return Reason.WITNESS
        if x1 >= x2 or y1 >= y2:
            return Reason.ZERO_AREA
        # what has no label, or no area, never asks for a class: where every label is one, it would
        # make one
        if not instance.label:
            return Reason.NO_LABEL
        has_phrase = by_token(instance.task).labels_are_phrases
        find = self.find_phrase if has_phrase and self.find_phrase else self.find
        class_id = find(instance.label)
        if class_id is None:
            return Reason.NO_OBJECT if self.names_nothing(instance) else Reason.NO_CLASS
        if by_token(instance.task).takes_one_phrase:
            if verified is not None and class_id not in verified:
                return Reason.ABSENT
        elif class_id in self.prompted:
            return Reason.ASKED_BY_PROMPT
        return class_id

    def names_nothing(self, instance: Instance) -> bool:
        """Whether an instance has a phrase that names no object."""
        has_phrase = by_token(instance.task).labels_are_phrases and self.find_phrase is not None
        return has_phrase and names_nothing(instance.label)

    def _best_first(
        self,
        candidates: Sequence[KeptInstance],
        size: tuple[int, int],
        dropped: list[Dropped],
    ) -> set[int]:
        """Identities of the instances that survive, the better score deciding; ties go by order.

        `size` is the image's width and height in pixels.
        """
        image_area = float(size[0] * size[1])
        containers = self._containers(candidates, size)
        ranked = sorted(candidates, key=lambda candidate: -candidate.score)
        rivals = self._rivals(ranked)
        kept: set[int] = set()
        seen: set[tuple[int, Box]] = set()
        for rank, instance in enumerate(ranked):
            if (instance.class_id, instance.box) in seen:
                dropped.append(_drop(instance, Reason.DUPLICATE))
            elif beyond := self._beyond_limits(instance, image_area):
                dropped.append(_drop(instance, *beyond))
            elif count := containers.get(id(instance)):
                dropped.append(_drop(instance, Reason.CONTAINER, f"around {count} others"))
            elif lost := self._overlapped(
                instance, (ranked[other] for other in rivals[rank] if other in kept)
            ):
                dropped.append(_drop(instance, *lost))
            else:
                kept.add(rank)
            seen.add((instance.class_id, instance.box))
        return {id(ranked[rank]) for rank in kept}

    def _beyond_limits(
        self, instance: KeptInstance, image_area: float
    ) -> tuple[Reason, str] | None:
        """The limit that an instance does not keep to, and by how much."""
        limits, size = self.thresholds, area(instance.box)
        own = self.classes[instance.class_id] if self.classes else _NO_LIMITS
        min_score = limits.min_score if own.min_score is None else own.min_score
        min_area = limits.min_area if own.min_area is None else own.min_area
        max_area = limits.max_area if own.max_area is None else own.max_area
        if instance.score < min_score:
            return Reason.MIN_SCORE, f"{instance.score:.4f} < {min_score:g}"
        if size < min_area:
            return Reason.MIN_AREA, f"{size:.1f} < {min_area:g} square pixels"
        if max_area is not None and size > max_area * image_area:
            return Reason.MAX_AREA, f"{size / image_area:.4f} > {max_area:g} of the image"
        return None

    def _containers(
        self, candidates: Sequence[KeptInstance], size: tuple[int, int]
    ) -> dict[int, int]:
        """Identities of the boxes around others, and around how many."""
        image_area = float(size[0] * size[1])
        groups: dict[tuple[int, str], dict[Box, list[KeptInstance]]] = {}
        for instance in candidates:
            if self._may_be_container(instance) and not self._beyond_limits(instance, image_area):
                boxes = groups.setdefault((instance.class_id, instance.task), {})
                boxes.setdefault(instance.box, []).append(instance)
        return {
            id(instance): len(members)
            for boxes in groups.values()
            for index, members in find_containers(list(boxes), *size).items()
            for instance in list(boxes.values())[index]
        }

    def _may_be_container(self, instance: Instance) -> bool:
        if self.thresholds.drop_containers is None:
            return instance.task in (OPEN_VOCABULARY, GROUNDING)
        return self.thresholds.drop_containers

    def _rivals(self, ranked: Sequence[KeptInstance]) -> list[list[int]]:
        """For each of the instances the indices of those that may take its place."""
        if (least := self.thresholds.least_overlap) is None:
            return [[] for _ in ranked]
        return overlapping([instance.box for instance in ranked], least)

    def _overlapped(
        self, instance: KeptInstance, kept: Iterable[KeptInstance]
    ) -> tuple[Reason, str] | None:
        """Why an instance goes that overlaps a better one, with the winner's name."""
        for better in kept:
            is_same = better.class_id == instance.class_id
            limit = self.thresholds.nms if is_same else self.thresholds.nms_across_classes
            if limit is not None and iou(better.box, instance.box) > limit:
                reason = Reason.NMS if is_same else Reason.NMS_ACROSS_CLASSES
                return reason, _name_winner(instance, better)
        return None


_NO_LIMITS = ClassSpec("")


def _drop(instance: Instance, reason: Reason, detail: str = "") -> Dropped:
    return Dropped(instance.label, instance.score, instance.box, reason, detail, instance)


def _name_winner(loser: Instance, winner: Instance) -> str:
    corners = ", ".join(f"{corner:.1f}" for corner in winner.box)
    overlap = iou(winner.box, loser.box)
    return f"IoU {overlap:.2f} with {winner.label} at {corners} (score {winner.score:.4f})"
