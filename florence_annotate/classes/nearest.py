"""The class that somebody may have meant by a label that belongs to none."""

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
    kind = _of_coco(label)
    for spec in classes.classes:
        if kind in map(_of_coco, (spec.name, *spec.synonyms)):
            return spec.name
    if (head := classes.find_phrase(label)) is not None:
        return classes.names[head]
    if len(named := classes.named_in(label)) == 1:
        return classes.names[named.pop()]
    owners = {
        normalise(known): spec.name
        for spec in classes.classes
        for known in (spec.name, *spec.synonyms)
    }
    meant = nearest_of(normalise(label), owners)
    return None if meant is None else owners[meant]


def _of_coco(label: str) -> str:
    """What a label stands for among COCO's classes; itself where that is not known."""
    normal = normalise(label)
    return SYNONYMS.get(normal, normal)
