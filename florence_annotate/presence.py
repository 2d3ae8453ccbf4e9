"""Whether a class that was asked for by name is on a picture at all.

A prompt for one class always points somewhere, also where there is none of it. So what it points at
counts only where a second kind of question knows the class: a label of `<OD>`, or a caption of the
picture or of a region of it that names the class. A grounding prompt is no witness: it is given the
names, and errs as the prompt for one class does.
"""

from collections.abc import Callable

from florence_annotate.classes import normalise
from florence_annotate.tasks import DENSE_CAPTIONS, GROUNDING, OPEN_VOCABULARY, SEGMENTATION
from florence_annotate.types import Instance, Reading

ASKED_BY_NAME = frozenset({OPEN_VOCABULARY, SEGMENTATION})
"""Tasks whose answers need a second one's word for it."""

_MOST_WORDS = 4
"""Of a class's name in a caption."""

Find = Callable[[str], int | None]


def known(reading: Reading, find: Find) -> frozenset[int]:
    """Ids of the classes that a picture shows by the word of those who were not given the names.

    `find` knows the classes.
    """
    said: set[int] = set()
    for instance in reading.instances:
        if instance.task == DENSE_CAPTIONS:
            said |= mentioned(instance.label, find)
        elif instance.task not in (*ASKED_BY_NAME, GROUNDING):
            class_id = find(instance.label)
            said |= set() if class_id is None else {class_id}
    for caption in reading.captions:
        said |= mentioned(caption.text, find)
    return frozenset(said)


def is_absent(instance: Instance, said: frozenset[int]) -> bool:
    """Whether an instance with its class needs to be confirmed, and is not."""
    return instance.task in ASKED_BY_NAME and instance.class_id not in said


def mentioned(text: str, find: Find) -> set[int]:
    """Ids of the classes that a text names."""
    words = "".join(c if c.isalnum() or c in "-_' " else " " for c in normalise(text)).split()
    runs = (
        " ".join(words[start : start + length])
        for length in range(1, _MOST_WORDS + 1)
        for start in range(len(words) - length + 1)
    )
    return {class_id for run in runs if (class_id := find(run)) is not None}
