"""The number, the split and the name of each image of an export: those that it has, or new ones."""

from collections.abc import Mapping
from typing import Any

from florence_annotate.config.job_spec import JobSpec
from florence_annotate.dataset.annotated_image import AnnotatedImage
from florence_annotate.dataset.dataset import Dataset
from florence_annotate.formats.entries import Notes
from florence_annotate.formats.names import Names
from florence_annotate.journal import Assigned, Journal


class Assigning:
    """Images are asked about in the order of their keys, each once."""

    def __init__(self, journal: Journal, dataset: Dataset, spec: JobSpec, notes: Notes) -> None:
        self._dataset, self._notes = dataset, notes
        self._assignments = journal.exports.assignments
        self._assignments.begin()
        self._kept = self._assignments.each()
        self._ahead = next(self._kept, None)
        self._next = self._assignments.last_number() + 1
        self._is_split_anew = is_split_anew(journal.exports.policy(), spec)
        names = (assigned.name for _, assigned in self._assignments.each())
        self._names = Names((key for key, _ in journal.annotated_keys()), names)

    def assign(self, image: AnnotatedImage) -> Assigned:
        """What an image keeps from now on, if the export comes to its end."""
        key = image.ref.key
        assigned = self._find(key)
        if assigned is None:
            split = self._dataset.rule_of_splits(key, image.sha)
            assigned = Assigned(self._next, split, self._names.of(key))
            self._next += 1
        elif self._is_split_anew:
            split = self._dataset.rule_of_splits(key, image.sha)
            self._notes.moved += split != assigned.split
            assigned = assigned._replace(split=split)
        self._assignments.note(key, assigned)
        return assigned

    def _find(self, key: str) -> Assigned | None:
        """What an image has; both come in the order of keys."""
        while self._ahead is not None and self._ahead[0] < key:
            self._ahead = next(self._kept, None)
        return self._ahead[1] if self._ahead is not None and self._ahead[0] == key else None


def is_split_anew(policy: Mapping[str, Any] | None, spec: JobSpec) -> bool:
    """Whether another split is asked for than that of the export before, if there was one."""
    if policy is None:
        return False
    return (policy["split"], policy["seed"]) != (spec.split, spec.seed)
