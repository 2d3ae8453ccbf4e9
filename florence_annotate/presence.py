"""Whether a class that was asked for by name is on a picture at all.

A prompt for one class always points somewhere, also where there is none of it. So what it points at
counts only where a second kind of question knows the class: a label of `<OD>`, or a caption of the
picture or of a region of it that names the class. A grounding prompt is no witness: it is given the
names, and errs as the prompt for one class does.
"""

from florence_annotate.classes import ClassList
from florence_annotate.tasks import DENSE_CAPTIONS, GROUNDING, OPEN_VOCABULARY, SEGMENTATION
from florence_annotate.types import Instance, Reading

ASKED_BY_NAME = frozenset({OPEN_VOCABULARY, SEGMENTATION})
"""Tasks whose answers need a second one's word for it."""


def known(reading: Reading, classes: ClassList) -> frozenset[int]:
    """Ids of the classes that a picture shows by the word of those who were not given the names."""
    said: set[int] = set()
    for instance in reading.instances:
        if instance.task == DENSE_CAPTIONS:
            said |= classes.named_in(instance.label)
        elif instance.task not in (*ASKED_BY_NAME, GROUNDING):
            class_id = classes.find(instance.label)
            said |= set() if class_id is None else {class_id}
    for caption in reading.captions:
        said |= classes.named_in(caption.text)
    return frozenset(said)


def is_absent(instance: Instance, said: frozenset[int]) -> bool:
    """Whether an instance with its class needs to be confirmed, and is not."""
    return instance.task in ASKED_BY_NAME and instance.class_id not in said
