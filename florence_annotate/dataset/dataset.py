"""Journal + policy → annotated images, in key order, one at a time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property

from florence_annotate.answers import reading
from florence_annotate.answers.attempts import with_counting_answers
from florence_annotate.answers.refinement import refined_box
from florence_annotate.dataset.annotated_image import AnnotatedImage
from florence_annotate.dataset.splits import SplitRule
from florence_annotate.journal import Journal
from florence_annotate.policy.captions import write_captions
from florence_annotate.policy.policy import Policy
from florence_annotate.policy.settings import PolicySettings, policy_of
from florence_annotate.policy.verification import verified_classes
from florence_annotate.tasks import of
from florence_annotate.types import ImageRef, Question, Reading, Record


def annotate_record(
    record: Record, policy: Policy, class_names: tuple[str, ...], *, regions_given: bool
) -> AnnotatedImage:
    """What a policy keeps and drops of one record, in pixels of the image.

    `regions_given`: the user gave the regions that were asked about.
    """
    said = reading.read(record, regions_given=regions_given)
    return annotate_reading(record, said, policy, class_names)


def annotate_reading(
    record: Record, said: Reading, policy: Policy, class_names: tuple[str, ...]
) -> AnnotatedImage:
    """What a policy keeps and drops of what was read in a record, in pixels of the image."""
    verified = verified_classes(said, policy.to_verify) if policy.to_verify else None
    kept, dropped = policy.apply(said.instances, record.width, record.height, verified)
    if policy.thresholds.refine_boxes:
        kept = [replace(one, box=refined_box(one, record.width, record.height)) for one in kept]
    captions = write_captions(said.captions, kept, class_names, policy.captions)
    return AnnotatedImage(
        record.ref,
        record.sha,
        record.width,
        record.height,
        tuple(kept),
        tuple(captions),
        (*said.dropped, *dropped),
        any(answer.truncated for answer in record.answers),
        class_names,
        bool(record.answers),
    )


def counting_records(
    journal: Journal, questions: Sequence[Question], until: int | None = None
) -> Iterator[Record]:
    """The record of each image of a job that has one, with the answers that count, by key; `until`
    is the last attempt that counts, where one is named."""
    regions_given = reading.are_regions_given(questions)
    for record in journal.records(until):
        yield with_counting_answers(record, questions, regions_given=regions_given)


class Dataset:
    """The annotated images of a job, finished or not, under a policy.

    Iterating reads the journal afresh, in key order, one image at a time. Without a class list it
    is read once before that, for the labels: behind the classes that an earlier export had, they
    are the classes, sorted.
    """

    def __init__(
        self,
        journal: Journal,
        questions: Sequence[Question],
        settings: PolicySettings,
        split_rule: SplitRule,
        known_names: Sequence[str] = (),
        is_chosen: Callable[[AnnotatedImage], bool] = lambda image: True,
        until: int | None = None,
    ) -> None:
        """`known_names` are the classes by id that an earlier export had without a list;
        `is_chosen` says which images are yielded; `until` is the last attempt that counts.

        Raises UsageError for a class that the job never asked for.
        """
        self._journal = journal
        self._questions = tuple(questions)
        self._regions_given = reading.are_regions_given(self._questions)
        self._classes = settings.classes
        self.split_rule = split_rule
        self._known_names = tuple(known_names)
        self._is_chosen = is_chosen
        self._until = until
        # the journal is read for the labels only once one is looked for
        self._policy = policy_of(settings, questions, lambda label: self._ids.get(label))

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """By class id."""
        if self._classes is not None:
            return self._classes.names
        if all(of(question).is_about_whole_image for question in self._questions):
            return ()
        labels: set[str] = set()
        for record in self._records():
            found = reading.read(record, regions_given=self._regions_given)
            named = (one for one in found.instances if not self._policy.names_nothing(one))
            labels.update([instance.label for instance in named])
        return (*self._known_names, *sorted(labels - {"", *self._known_names}))

    @cached_property
    def split_names(self) -> tuple[str, ...]:
        """Those that its images may be in."""
        return self.split_rule.split_names(self._journal.selection.refs)

    @property
    def has_captions(self) -> bool:
        """Whether its images have texts, asked for or made of what was found."""
        asks = any(of(question).is_about_whole_image for question in self._questions)
        return asks or self._policy.captions.joins_tags

    @cached_property
    def _ids(self) -> dict[str, int]:
        """Label → class id, where every label is a class."""
        return {name: class_id for class_id, name in enumerate(self.class_names)}

    def _records(self) -> Iterator[Record]:
        return counting_records(self._journal, self._questions, self._until)

    def __iter__(self) -> Iterator[AnnotatedImage]:
        policy, names = self._policy, self.class_names
        for record in self._records():
            image = annotate_record(record, policy, names, regions_given=self._regions_given)
            if self._is_chosen(image):
                yield image

    def beside(self, other: PolicySettings) -> Iterator[tuple[AnnotatedImage, AnnotatedImage]]:
        """Each image under the dataset's policy, and under another one with the same classes; in
        one pass."""
        others = policy_of(other, self._questions, lambda label: self._ids.get(label))
        names = self.class_names
        for record in self._records():
            said = reading.read(record, regions_given=self._regions_given)
            yield (
                annotate_reading(record, said, self._policy, names),
                annotate_reading(record, said, others, names),
            )

    def split_of(self, key: str) -> str:
        """The split of an image: the one that it has kept, and where there is none, the one that it
        would get."""
        assigned = self._journal.exports.assignments.of(key)
        if assigned is not None and assigned.split:
            return assigned.split
        latest = self._journal.selection.latest(key)
        path, sha = (latest["path"], latest["sha"] or "") if latest else (b"", "")
        return self.split_rule.split_of(ImageRef(key, path, 0, 0), sha)
