"""Journal + policy → annotated pictures, in key order, one at a time."""

from collections.abc import Callable, Collection, Iterator, Mapping

from florence_annotate.answers import reading
from florence_annotate.classes import ClassList
from florence_annotate.dataset.annotated_image import AnnotatedImage
from florence_annotate.dataset.splits import splitter
from florence_annotate.journal import Journal
from florence_annotate.policy.policy import Policy
from florence_annotate.policy.settings import PolicySettings, policy_of
from florence_annotate.policy.verification import verified_classes
from florence_annotate.types import (
    Question,
    Record,
)


def read_picture(record: Record, policy: Policy, class_names: tuple[str, ...]) -> AnnotatedImage:
    """One record under a policy."""
    said = reading.read(record)
    verified = verified_classes(said, policy.to_verify) if policy.to_verify else None
    kept, dropped = policy.apply(said.instances, record.width, record.height, verified)
    return AnnotatedImage(
        record.ref,
        record.sha,
        record.width,
        record.height,
        tuple(kept),
        said.captions,
        (*said.dropped, *dropped),
        any(answer.truncated for answer in record.answers),
        class_names,
        bool(record.answers),
    )


class Dataset:
    """The annotated pictures of a job, finished or not, under a policy.

    Iterating reads the journal afresh, in key order, one picture at a time.
    """

    def __init__(
        self,
        journal: Journal,
        questions: Collection[Question],
        settings: PolicySettings,
        split: Mapping[str, float],
        seed: int,
    ) -> None:
        """Raises UsageError for a class that the job never asked for."""
        self._journal = journal
        self.split_names = tuple(split)
        self._split_of = splitter(split, seed)
        self.class_names, find = self._classes(settings.classes)
        self._policy = policy_of(settings, questions, find)

    def _classes(
        self, classes: ClassList | None
    ) -> tuple[tuple[str, ...], Callable[[str], int | None]]:
        if classes is not None:
            return classes.names, classes.find
        labels: set[str] = set()
        for record in self._journal.records():
            labels.update(instance.label for instance in reading.read(record).instances)
        names = tuple(sorted(labels - {""}))
        return names, {name: class_id for class_id, name in enumerate(names)}.get

    def __iter__(self) -> Iterator[AnnotatedImage]:
        for record in self._journal.records():
            yield read_picture(record, self._policy, self.class_names)

    def split_of(self, key: str) -> str:
        return self._split_of(key)
