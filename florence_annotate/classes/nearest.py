"""The class that somebody may have meant by a label that belongs to none."""

from functools import lru_cache

from florence_annotate.classes.class_list import ClassList
from florence_annotate.classes.spelling import normalise
from florence_annotate.classes.synonyms import SYNONYMS
from florence_annotate.errors import nearest_of


def nearest_class(label: str, classes: ClassList) -> str | None:
    """The name of the class that is nearest to a label of no class; None where none is near.

    That is the one that stands for the same class of COCO's (sedan and automobile), else the one
    that the label ends in as a phrase does (red car), else the only one that it names (car door),
    else the one whose name or synonym is spelled nearly so (cra).
    """
    kinds, owners = _known(classes)
    if (alike := kinds.get(_of_coco(label))) is not None:
        return alike
    if (head := classes.find_phrase(label)) is not None:
        return classes.names[head]
    if len(named := classes.named_in(label)) == 1:
        return classes.names[named.pop()]
    meant = nearest_of(normalise(label), owners)
    return None if meant is None else owners[meant]


@lru_cache(maxsize=4)  # of thousands of labels, each is held to thousands of classes
def _known(classes: ClassList) -> tuple[dict[str, str], dict[str, str]]:
    """What the names and the synonyms of classes stand for among COCO's, and they themselves as
    they are compared; each with the name of its class."""
    kinds: dict[str, str] = {}
    owners: dict[str, str] = {}
    for spec in classes.classes:
        for known in (spec.name, *spec.synonyms):
            kinds.setdefault(_of_coco(known), spec.name)
            owners[normalise(known)] = spec.name
    return kinds, owners


def _of_coco(label: str) -> str:
    """What a label stands for among COCO's classes; itself where that is not known."""
    normal = normalise(label)
    return SYNONYMS.get(normal, normal)
