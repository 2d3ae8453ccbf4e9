"""Whether a class that was asked for by name is on a picture at all.

A prompt for one class always points somewhere, also where there is none of it. So what it points at
counts only where a second kind of question agrees: a label that `<OD>` or a grounding prompt put on
the same place, a label of `<OD>` anywhere, or a caption that names the class.
"""

from collections.abc import Callable
from dataclasses import dataclass

from florence_annotate.boxes import iou
from florence_annotate.classes import normalise
from florence_annotate.tasks import GROUNDING, OPEN_VOCABULARY, SEGMENTATION
from florence_annotate.types import Box, Instance, Reading

ASKED_BY_NAME = frozenset({OPEN_VOCABULARY, SEGMENTATION})
"""Tasks whose answers need a second one's word for it."""

_SAME_PLACE = 0.5
"""Least intersection over union of two boxes of one thing."""
_MOST_WORDS = 4
"""Of a class's name in a caption."""

Find = Callable[[str], int | None]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the other questions about a picture say of the classes."""

    said: frozenset[int]
    """Ids of classes that are on the picture, somewhere."""
    pointed_at: tuple[tuple[int, Box], ...]
    """Ids of classes with places that a grounding prompt gave, which is easily misled too."""

    def confirms(self, instance: Instance) -> bool:
        """Whether an instance that has its class stands."""
        if instance.task not in ASKED_BY_NAME or instance.class_id in self.said:
            return True
        return any(
            class_id == instance.class_id and iou(box, instance.box) >= _SAME_PLACE
            for class_id, box in self.pointed_at
        )


def gather(reading: Reading, find: Find) -> Evidence:
    """The evidence in what was read of a picture; `find` knows the classes."""
    said: set[int] = set()
    pointed_at: list[tuple[int, Box]] = []
    for instance in reading.instances:
        class_id = find(instance.label)
        if class_id is None or instance.task in ASKED_BY_NAME:
            continue
        if instance.task == GROUNDING:
            pointed_at.append((class_id, instance.box))
        else:
            said.add(class_id)
    for caption in reading.captions:
        said |= mentioned(caption.text, find)
    return Evidence(frozenset(said), tuple(pointed_at))


def mentioned(text: str, find: Find) -> set[int]:
    """Ids of the classes that a text names."""
    words = "".join(c if c.isalnum() or c in "-_' " else " " for c in normalise(text)).split()
    runs = (
        " ".join(words[start : start + length])
        for length in range(1, _MOST_WORDS + 1)
        for start in range(len(words) - length + 1)
    )
    return {class_id for run in runs if (class_id := find(run)) is not None}
