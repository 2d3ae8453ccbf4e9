"""The number, the split and the name of each image of an export: those that it has, or new ones."""

from functools import cached_property

from florence_annotate.dataset.annotated_image import AnnotatedImage
from florence_annotate.dataset.splits import SplitRule
from florence_annotate.formats.entries import Notes
from florence_annotate.formats.names import Names
from florence_annotate.journal import Assigned, Journal, Texts


class Assigning:
    """Images are asked about in the order of their keys, each once."""

    def __init__(self, journal: Journal, rule: SplitRule, notes: Notes) -> None:
        """Raises UsageError for lists of splits that don't fit the images of the job."""
        self._journal, self._rule, self._notes = journal, rule, notes
        notes.by_folders = bool(rule.tops)
        notes.unlisted = list(rule.fit(journal.selection.refs))
        self._assignments = journal.exports.assignments
        self._is_split_anew = rule.is_other_than(journal.exports.policy_of_splits())
        self._assignments.begin(is_split_anew=self._is_split_anew)
        self._find = self._assignments.by_rising_key()
        self._next = self._assignments.last_number() + 1

    @cached_property
    def _names(self) -> Names:
        """Made where an image has none."""
        taken = (assigned.name for _, assigned in self._assignments.each())
        return Names(self._journal.annotated_keys(), taken, Texts(self._journal))

    def assign(self, image: AnnotatedImage) -> Assigned:
        """What an image keeps from now on, if the export comes to its end."""
        key = image.ref.key
        assigned = self._find(key)
        if assigned is None:
            split = self._rule.split_of(image.ref, image.sha)
            assigned = Assigned(self._next, split, self._names.of(key))
            self._next += 1
        elif self._is_split_anew or not assigned.split:
            split = self._rule.split_of(image.ref, image.sha)
            self._notes.moved += assigned.split not in ("", split)
            assigned = assigned._replace(split=split)
        self._assignments.note(key, assigned)
        return assigned
