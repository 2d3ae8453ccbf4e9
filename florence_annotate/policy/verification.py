"""Whether a class that was asked for by name is on a picture at all.

A prompt for one class always points somewhere, also where there is none of it. So what it points at
counts only where other kinds of questions know the class: where `<OD>` says it, or two of three
descriptions name it (a caption, a longer one, and the captions of regions), since one alone slips
too. A grounding prompt is no witness: it is given the names, and errs as the prompt for one class
does.
"""

from collections import Counter

from florence_annotate.classes import ClassList
from florence_annotate.tasks import (
    ASKED_BY_NAME,
    DENSE_CAPTIONS,
    GROUNDING,
)
from florence_annotate.types import Instance, Reading

_DESCRIPTIONS_NEEDED = 2


def known(reading: Reading, classes: ClassList) -> frozenset[int]:
    """Ids of the classes that a picture shows by the word of those who were not given the names."""
    said: set[int] = set()
    in_regions: set[int] = set()
    for instance in reading.instances:
        if instance.task == DENSE_CAPTIONS:
            in_regions |= classes.named_in(instance.label)
        elif instance.task not in (*ASKED_BY_NAME, GROUNDING):
            class_id = classes.find(instance.label)
            said |= set() if class_id is None else {class_id}
    descriptions = Counter(in_regions)
    for caption in reading.captions:
        descriptions.update(classes.named_in(caption.text))
    described = {one for one, count in descriptions.items() if count >= _DESCRIPTIONS_NEEDED}
    return frozenset(said | described)


def is_absent(instance: Instance, said: frozenset[int]) -> bool:
    """Whether an instance with its class needs to be confirmed, and is not."""
    return instance.task in ASKED_BY_NAME and instance.class_id not in said
