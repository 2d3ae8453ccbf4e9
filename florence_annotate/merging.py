"""One thing that several tiles show, or a tile and the whole picture, becomes one instance."""

from collections.abc import Sequence
from dataclasses import replace

from florence_annotate.boxes import iou, part_within
from florence_annotate.types import Box, Dropped, Instance

_SAME = 0.5
"""Least intersection over the smaller of two boxes of one thing; what it is over where their labels
may differ, `_is_seen_better` says."""
_EDGE = 0.01
"""Part of a tile's side within which a box touches its edge."""


def merge(
    instances: Sequence[Instance], width: int, height: int
) -> tuple[list[Instance], list[Dropped]]:
    """Instances with each thing once, and the others as dropped (`other-view`).

    Boxes with one label, from one kind of question, that lie in each other by half are one thing
    (supervision's merging). What a tile's inner edge cuts counts for less than what is seen whole,
    and a tile sees more finely than the whole picture; where every view cuts it, the box is around
    all parts.
    """
    import numpy as np
    from supervision import OverlapMetric
    from supervision.detection.utils.iou_and_nms import box_non_max_merge

    kept: list[Instance] = []
    dropped: list[Dropped] = []
    if not instances:
        return kept, dropped
    # answers to other questions stay apart: one may be there to confirm another
    kinds = list(dict.fromkeys((one.task, one.label) for one in instances))
    rows = [[*one.box, one.score, kinds.index((one.task, one.label))] for one in instances]
    groups = box_non_max_merge(np.array(rows), _SAME, OverlapMetric.IOS)
    for group in sorted(map(sorted, groups)):
        members = [instances[place] for place in group]
        best = min(members, key=lambda one: _order(one, width, height))
        others = [one for one in members if one is not best]
        if _is_cut(best, width, height):
            best = replace(best, box=_around([one.box for one in members]))
        kept.append(best)
        dropped += [Dropped(one.label, one.score, one.box, "other-view") for one in others]
    worse = [one for one in kept if _is_seen_better(one, kept, width, height)]
    dropped += [Dropped(one.label, one.score, one.box, "other-view") for one in worse]
    return [one for one in kept if one not in worse], dropped


def _is_seen_better(one: Instance, kept: Sequence[Instance], width: int, height: int) -> bool:
    """Whether a tile that was asked the same says something else of the place, and knows better.

    It sees more finely than the whole picture, and what another tile cuts it may see whole: a cut
    thing often looks like another one.
    """
    others = [each for each in kept if each.view is not None and each.task == one.task]
    if one.view is None:
        return any(iou(each.box, one.box) >= _SAME for each in others)
    return _is_cut(one, width, height) and any(
        part_within(one.box, each.box) >= _SAME and not _is_cut(each, width, height)
        for each in others
    )


def _order(instance: Instance, width: int, height: int) -> tuple[bool, bool, float]:
    """The lowest is the best witness."""
    return _is_cut(instance, width, height), instance.view is None, -instance.score


def _is_cut(instance: Instance, width: int, height: int) -> bool:
    """Whether a box touches an edge of its tile that is no edge of the picture."""
    if instance.view is None:
        return False
    left, top, right, bottom = instance.view
    x1, y1, x2, y2 = instance.box
    near_x, near_y = _EDGE * (right - left), _EDGE * (bottom - top)
    return (
        (left > 0 and x1 - left < near_x)
        or (top > 0 and y1 - top < near_y)
        or (right < width and right - x2 < near_x)
        or (bottom < height and bottom - y2 < near_y)
    )


def _around(boxes: Sequence[Box]) -> Box:
    left, top, right, bottom = zip(*boxes, strict=True)
    return min(left), min(top), max(right), max(bottom)
