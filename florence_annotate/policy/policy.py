"""What the dataset keeps of what the model said, and why it leaves the rest out.

A policy never needs the model: it can be changed, and the dataset written again, at any time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from florence_annotate.classes import ClassList
from florence_annotate.geometry.boxes import area, iou
from florence_annotate.policy.verification import is_absent
from florence_annotate.tasks import ASKED_BY_NAME
from florence_annotate.types import Box, Dropped, Instance


@dataclass(frozen=True, slots=True)
class Policy:
    """Filters in the order in which they are applied.

    1. Boxes are clipped to the picture, their corners put in order; `zero-area` boxes go, and
       `witness`, what only a question that is there to confirm others points at.
    2. Labels become classes by `find`; `no-class` where there is none, `no-label` where the model
       gave none, `asked-by-prompt` where another question names a class that a prompt of its own
       looks for, `absent` where no second question confirms such a prompt.
    3. `duplicate`: the same class and box again; the higher score stays.
    4. `min-score`, and `min-area`: boxes of fewer square pixels.
    5. `nms`: overlap with a better instance of the same class above `nms`, as intersection over
       union; the detail names the winner.
    """

    find: Callable[[str], int | None]
    prompted: frozenset[int] = frozenset()
    min_score: float = 0.0
    nms: float | None = None
    min_area: float = 0.0
    confirmed: ClassList | None = None
    """Those of the classes that were asked by name have to be confirmed; None: nothing has."""
    witnesses: frozenset[str] = frozenset()
    """Tasks that were asked only to confirm others."""

    def apply(
        self,
        instances: Sequence[Instance],
        width: int,
        height: int,
        said: frozenset[int] | None = None,
    ) -> tuple[list[Instance], list[Dropped]]:
        """Kept instances with class ids, in the order given, and the dropped ones.

        `said` holds the classes that confirm what was asked by name; None: nothing needs it.
        """
        dropped: list[Dropped] = []
        candidates: list[Instance] = []
        for instance in instances:
            upright = replace(instance, box=_inside(instance.box, width, height))
            # unlabelled and empty boxes never ask for a class: where every label is one, they
            # would make one
            reason, class_id = _refuse(upright, self.witnesses), None
            if reason is None:
                class_id = self.find(upright.label)
                reason = self._refuse_class(upright, class_id)
            upright = replace(upright, class_id=class_id)
            if reason is None and said is not None and is_absent(upright, said):
                reason = "absent"
            if reason is None:
                candidates.append(upright)
            else:
                dropped.append(_drop(upright, reason))
        kept = self._best_first(candidates, dropped)
        return [instance for instance in candidates if id(instance) in kept], dropped

    def _refuse_class(self, instance: Instance, class_id: int | None) -> str | None:
        if class_id is None:
            return "no-class"
        if instance.task not in ASKED_BY_NAME and class_id in self.prompted:
            return "asked-by-prompt"
        return None

    def _best_first(self, candidates: Sequence[Instance], dropped: list[Dropped]) -> set[int]:
        """Identities of the instances that survive, the better score deciding; ties go by order."""
        kept: list[Instance] = []
        seen: set[tuple[int | None, Box]] = set()
        for instance in sorted(candidates, key=lambda candidate: -candidate.score):
            if (instance.class_id, instance.box) in seen:
                dropped.append(_drop(instance, "duplicate"))
            elif instance.score < self.min_score:
                detail = f"{instance.score:.4f} < {self.min_score:g}"
                dropped.append(_drop(instance, "min-score", detail))
            elif area(instance.box) < self.min_area:
                detail = f"{area(instance.box):.1f} < {self.min_area:g} square pixels"
                dropped.append(_drop(instance, "min-area", detail))
            elif winner := self._overlapped(instance, kept):
                dropped.append(_drop(instance, "nms", _name_winner(instance, winner)))
            else:
                kept.append(instance)
            seen.add((instance.class_id, instance.box))
        return {id(instance) for instance in kept}

    def _overlapped(self, instance: Instance, kept: Sequence[Instance]) -> Instance | None:
        if self.nms is None:
            return None
        for better in kept:
            if better.class_id == instance.class_id and iou(better.box, instance.box) > self.nms:
                return better
        return None


def _refuse(instance: Instance, witnesses: frozenset[str]) -> str | None:
    x1, y1, x2, y2 = instance.box
    if instance.task in witnesses:
        return "witness"
    if x1 >= x2 or y1 >= y2:
        return "zero-area"
    return None if instance.label else "no-label"


def _inside(box: Box, width: int, height: int) -> Box:
    left, right = sorted((box[0], box[2]))
    top, bottom = sorted((box[1], box[3]))
    return max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height))


def _drop(instance: Instance, reason: str, detail: str = "") -> Dropped:
    return Dropped(instance.label, instance.score, instance.box, reason, detail)


def _name_winner(loser: Instance, winner: Instance) -> str:
    corners = ", ".join(f"{corner:.1f}" for corner in winner.box)
    overlap = iou(winner.box, loser.box)
    return f"IoU {overlap:.2f} with {winner.label} at {corners} (score {winner.score:.4f})"
