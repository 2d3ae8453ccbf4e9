"""One thing that several tiles show, or a tile and the whole image, becomes one instance.

Two views show one thing where they agree about what both can see: of one label, from one kind of
question, their boxes cut to the part of the image that the two views share overlap by half. What
one view tells apart is never joined. (supervision's merging groups boxes by their overlap alone: it
leaves an object that is longer than the overlap of two tiles in parts, and joins two that one tile
shows.)
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from florence_annotate.geometry.boxes import around, holds, intersection, iou, part_within
from florence_annotate.geometry.overlaps import overlapping
from florence_annotate.geometry.polygons import union_of
from florence_annotate.reasons import Reason
from florence_annotate.tasks import by_token
from florence_annotate.types import Box, Dropped, Instance

_SAME = 0.5
"""Least overlap of one thing's boxes."""
_SURE = 0.5
"""Least part of a tile's score that the whole image needs to know better."""
_EDGE = 0.01
"""Part of a tile's side within which a box touches its edge."""


def merge(
    instances: Sequence[Instance], width: int, height: int
) -> tuple[list[Instance], list[Dropped]]:
    """Instances with each thing once, and the others as dropped (`other-view`).

    The image is `width` by `height` pixels; boxes and points are in pixels of it.

    What a tile's inner edge cuts counts for less than what is seen whole, and a tile sees more
    finely than the whole image. Where every view cuts a thing, its parts are put together.
    """
    merging = _Merging(instances, width, height)
    groups = merging.group()
    is_worse = [merging.is_seen_better(group) for group in groups]
    marked = list(zip(groups, is_worse, strict=True))
    kept = [merging.together(group) for group, worse in marked if not worse]
    others = [index for group in groups for index in group.members[1:]]
    others += [group.best for group, worse in marked if worse]
    left = [instances[index] for index in others]
    return kept, [
        Dropped(one.label, one.score, one.box, Reason.OTHER_VIEW, instance=one) for one in left
    ]


@dataclass(eq=False, slots=True)
class _Group:
    """What several views say of one thing."""

    members: list[int]
    """Indices of instances, the one that is seen best first."""
    views: set[Box | None]

    @property
    def best(self) -> int:
        return self.members[0]


class _Merging:
    def __init__(self, instances: Sequence[Instance], width: int, height: int) -> None:
        self._instances = instances
        self._image = (0.0, 0.0, float(width), float(height))
        self._is_cut = [self._touches_inner_edge(one) for one in instances]
        self._meeting = overlapping([one.box for one in instances])
        self._group_of: dict[int, _Group] = {}

    def group(self) -> list[_Group]:
        """One group a thing, in the order of the instances."""
        for index in sorted(range(len(self._instances)), key=self._rank):
            self._add(index)
        groups = {id(group): group for group in self._group_of.values()}
        return sorted(groups.values(), key=lambda group: group.best)

    def _rank(self, index: int) -> tuple[bool, bool, float, int]:
        """The lowest is seen best."""
        one = self._instances[index]
        return self._is_cut[index], one.view is None, -one.score, index

    def _add(self, index: int) -> None:
        """Put an instance to the groups that it belongs to; it may join some that were apart."""
        near: dict[int, tuple[float, _Group]] = {}
        for other in self._meeting[index]:
            group = self._group_of.get(other)
            agreement = self._agreement(index, other) if group else 0.0
            if group and agreement >= max(_SAME, near.get(id(group), (0.0,))[0]):
                near[id(group)] = agreement, group
        joined = _Group([index], {self._instances[index].view})
        for _, group in sorted(near.values(), key=lambda pair: -pair[0]):
            if not joined.views & group.views:  # what one view tells apart stays apart
                joined.members += group.members
                joined.views |= group.views
        joined.members.sort(key=self._rank)
        self._group_of |= dict.fromkeys(joined.members, joined)

    def _agreement(self, index: int, other: int) -> float:
        """How far two instances agree about what their views share."""
        one, two = self._instances[index], self._instances[other]
        if (one.task, one.label) != (two.task, two.label) or one.view == two.view:
            return 0.0
        shared = intersection(one.view or self._image, two.view or self._image)
        parts = [shared and intersection(each.box, shared) for each in (one, two)]
        return iou(parts[0], parts[1]) if parts[0] and parts[1] else 0.0

    def is_seen_better(self, group: _Group) -> bool:
        """Whether another view that was asked the same says something else of that spot, and knows
        better: it sees whole what is cut here, which often looks like another thing; or it is surer
        of another name, which no view has beside this one."""
        return any(
            self._group_of[other].best == other and self._knows_better(other, group)
            for other in self._meeting[group.best]
        )

    def _knows_better(self, other_index: int, group: _Group) -> bool:
        one, other = self._instances[group.best], self._instances[other_index]
        if other.view in group.views or other.task != one.task:
            return False
        is_cut, is_other_cut = self._is_cut[group.best], self._is_cut[other_index]
        if is_cut and not is_other_cut and part_within(one.box, other.box) >= _SAME:
            # of small things in a large image the whole may show a blur: then it is not sure
            is_sure = other.view is not None or other.score >= _SURE * one.score
            return is_sure or one.label == other.label
        # of what was asked by name, two names for one box are two answers
        if one.label == other.label or by_token(one.task).is_given_names:
            return False
        is_worse = (is_other_cut, -other.score) < (is_cut, -one.score)
        says_both = group.views & self._group_of[other_index].views
        return is_worse and not says_both and iou(one.box, other.box) >= _SAME

    def together(self, group: _Group) -> Instance:
        """The one that is seen best; where even that is cut, with the parts of the others."""
        best = self._instances[group.best]
        if len(group.members) == 1 or best.quad or not self._is_cut[group.best]:
            return best
        members = [self._instances[index] for index in group.members]
        polygons = best.polygons
        if polygons:
            polygons = union_of([one.polygons for one in members if one.polygons])
        return replace(best, box=around([one.box for one in members]), polygons=polygons)

    def _touches_inner_edge(self, instance: Instance) -> bool:
        """Whether a box touches an edge of its tile that is no edge of the image."""
        if instance.view is None:
            return False
        left, top, right, bottom = instance.view
        near_x, near_y = _EDGE * (right - left), _EDGE * (bottom - top)
        _, _, width, height = self._image
        inner = (
            left + near_x if left > 0 else left,
            top + near_y if top > 0 else top,
            right - near_x if right < width else right,
            bottom - near_y if bottom < height else bottom,
        )
        return not holds(inner, instance.box)
