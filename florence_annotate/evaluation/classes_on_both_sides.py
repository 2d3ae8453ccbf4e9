"""Which class of the ground truth is which class of the dataset."""

from collections.abc import Sequence
from dataclasses import dataclass

from florence_annotate.classes import ClassList
from florence_annotate.classes.spelling import normalise
from florence_annotate.errors import UsageError
from florence_annotate.evaluation.wording import listed


@dataclass(frozen=True, slots=True)
class ClassPairs:
    """The classes that are evaluated, and how both sides call them."""

    names: tuple[str, ...]
    """By the index that the other fields mean."""
    of_dataset: dict[int, int]
    """Class id → index."""
    of_truth: dict[str, int]
    """Name in the ground truth → index."""
    only_truth: tuple[str, ...]
    """The dataset has no such class, and was not meant to: left out of every figure."""
    never_said: tuple[str, ...]
    """Every label is a class, and none is this one: evaluated, as never found."""
    only_dataset: tuple[str, ...]
    """The ground truth has no such class: left out of every figure."""
    other_names: dict[str, str]
    """Name in the ground truth → the class that it stands for, where that is no mere spelling."""


def pair_classes(
    dataset: Sequence[str], class_list: ClassList | None, truth: Sequence[str]
) -> ClassPairs:
    """Match classes by name: case, hyphens and underscores make no difference, and with a class
    list its synonyms and plurals stand for their class. Raises UsageError where none matches.
    """
    by_name: dict[str, int] = {}
    for class_id, name in enumerate(dataset):
        by_name.setdefault(normalise(name), class_id)
    id_of: dict[str, int] = {}
    other_names: dict[str, str] = {}
    for name in truth:
        same = by_name.get(normalise(name))
        meant = class_list.find(name) if class_list is not None and same is None else same
        if meant is None:
            continue
        id_of[name] = meant
        if same is None:
            other_names[name] = dataset[meant]
    if not id_of:
        raise UsageError(
            f"no class is in both: the ground truth has {listed(truth)}, the dataset "
            f"{listed(dataset)}: name classes as the ground truth does ('export --classes'), or "
            "give them synonyms"
        )
    lacking = tuple(name for name in truth if name not in id_of)
    found = sorted(set(id_of.values()))
    names = [dataset[class_id] for class_id in found]
    never_said: tuple[str, ...] = ()
    if class_list is None:
        never_said, lacking = lacking, ()
    index_of = {class_id: index for index, class_id in enumerate(found)}
    of_truth = {name: index_of[class_id] for name, class_id in id_of.items()}
    of_truth |= {name: len(names) + place for place, name in enumerate(never_said)}
    of_dataset = {
        class_id: index_of[by_name[normalise(name)]]
        for class_id, name in enumerate(dataset)
        if by_name[normalise(name)] in index_of
    }
    only_dataset = tuple(name for i, name in enumerate(dataset) if i not in of_dataset)
    evaluated = (*names, *never_said)
    return ClassPairs(
        evaluated, of_dataset, of_truth, lacking, never_said, only_dataset, other_names
    )
