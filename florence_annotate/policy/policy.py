"""What the dataset keeps of what the model said, and why it leaves the rest out.

A policy never needs the model: it can be changed, and the dataset written again, at any time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from florence_annotate.classes import ClassList
from florence_annotate.geometry.boxes import area, iou
from florence_annotate.policy.captions import CaptionSettings
from florence_annotate.policy.thresholds import Thresholds
from florence_annotate.reasons import Reason
from florence_annotate.tasks import by_token
from florence_annotate.types import Box, Dropped, Instance, KeptInstance


@dataclass(frozen=True, slots=True)
class Policy:
    """Filters in the order in which they are applied.

    1. Boxes are clipped to the image, their corners put in order. `zero-area` boxes go, and
       `witness`, what only a question points at that is there to verify others.
    2. Labels become classes by `find`: `no-class` where there is none, `no-label` where the model
       gave none, `asked-by-prompt` where another question names a class that a prompt of its own
       looks for, `absent` where no second question verifies the answer to such a prompt.
    3. `duplicate`: the same class and box again; the higher score stays.
    4. `min-score`, and `min-area`: boxes of fewer square pixels.
    5. `nms`: overlap with a better instance of the same class above `nms`, as intersection over
       union; the detail names the winner.
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
            box = _clip(instance.box, width, height)
            found = self._classify(instance, box, verified)
            if isinstance(found, Reason):
                dropped.append(Dropped(instance.label, instance.score, box, found))
            else:
                candidates.append(KeptInstance.of(instance, found, box))
        kept = self._best_first(candidates, dropped)
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
        class_id = self.find(instance.label)
        if class_id is None:
            return Reason.NO_CLASS
        if by_token(instance.task).takes_one_phrase:
            if verified is not None and class_id not in verified:
                return Reason.ABSENT
        elif class_id in self.prompted:
            return Reason.ASKED_BY_PROMPT
        return class_id

    def _best_first(self, candidates: Sequence[KeptInstance], dropped: list[Dropped]) -> set[int]:
        """Identities of the instances that survive, the better score deciding; ties go by order."""
        limits = self.thresholds
        kept: list[KeptInstance] = []
        seen: set[tuple[int, Box]] = set()
        for instance in sorted(candidates, key=lambda candidate: -candidate.score):
            if (instance.class_id, instance.box) in seen:
                dropped.append(_drop(instance, Reason.DUPLICATE))
            elif instance.score < limits.min_score:
                detail = f"{instance.score:.4f} < {limits.min_score:g}"
                dropped.append(_drop(instance, Reason.MIN_SCORE, detail))
            elif area(instance.box) < limits.min_area:
                detail = f"{area(instance.box):.1f} < {limits.min_area:g} square pixels"
                dropped.append(_drop(instance, Reason.MIN_AREA, detail))
            elif winner := self._overlapped(instance, kept):
                dropped.append(_drop(instance, Reason.NMS, _name_winner(instance, winner)))
            else:
                kept.append(instance)
            seen.add((instance.class_id, instance.box))
        return {id(instance) for instance in kept}

    def _overlapped(
        self, instance: KeptInstance, kept: Sequence[KeptInstance]
    ) -> KeptInstance | None:
        if self.thresholds.nms is None:
            return None
        for better in kept:
            if (
                better.class_id == instance.class_id
                and iou(better.box, instance.box) > self.thresholds.nms
            ):
                return better
        return None


def _clip(box: Box, width: int, height: int) -> Box:
    x1, y1, x2, y2 = box
    left, right = (x1, x2) if x1 <= x2 else (x2, x1)
    top, bottom = (y1, y2) if y1 <= y2 else (y2, y1)
    return max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height))


def _drop(instance: Instance, reason: Reason, detail: str = "") -> Dropped:
    return Dropped(instance.label, instance.score, instance.box, reason, detail)


def _name_winner(loser: Instance, winner: Instance) -> str:
    corners = ", ".join(f"{corner:.1f}" for corner in winner.box)
    overlap = iou(winner.box, loser.box)
    return f"IoU {overlap:.2f} with {winner.label} at {corners} (score {winner.score:.4f})"
