"""Whether a class that was asked for by name is on an image at all.

A prompt for one class always points somewhere, also where there is none of it. So what it points at
counts only where other kinds of questions, which are not told what to look for, find the class too:
where `<OD>` names it, or two of three descriptions do (a caption, a longer one, and the captions of
regions), since one description alone errs too often. A grounding prompt verifies nothing: it is
given the names, and errs as the prompt for one class does.
"""

from collections import Counter

from florence_annotate.classes import ClassList
from florence_annotate.tasks import DENSE_CAPTIONS, by_token
from florence_annotate.types import Reading

_DESCRIPTIONS_NEEDED = 2


def verified_classes(reading: Reading, classes: ClassList) -> frozenset[int]:
    """Ids of the classes that questions without names in them find on an image."""
    verified: set[int] = set()
    described_regions: set[int] = set()
    for instance in reading.instances:
        if instance.task == DENSE_CAPTIONS:
            described_regions |= classes.named_in(instance.label)
        elif not by_token(instance.task).is_given_names:
            class_id = classes.find(instance.label)
            verified |= set() if class_id is None else {class_id}
    descriptions = Counter(described_regions)
    for caption in reading.captions:
        if by_token(caption.task).verifies:
            descriptions.update(classes.named_in(caption.text))
    verified |= {one for one, count in descriptions.items() if count >= _DESCRIPTIONS_NEEDED}
    return frozenset(verified)
