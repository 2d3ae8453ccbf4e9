"""Journal → distributions, in one pass over it."""

import heapq
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from florence_annotate.answers import reading
from florence_annotate.classes.nearest import nearest_class
from florence_annotate.config.job_spec import JobSpec
from florence_annotate.dataset import opening, settled
from florence_annotate.dataset.annotated_image import AnnotatedImage
from florence_annotate.dataset.dataset import annotate_reading, counting_records
from florence_annotate.journal import Journal
from florence_annotate.policy.policy import Policy
from florence_annotate.policy.settings import policy_of
from florence_annotate.reasons import Reason
from florence_annotate.reports.distributions import Distributions
from florence_annotate.types import Failure, KeptInstance, Question, Reading, Record

Outcome = AnnotatedImage | Failure


def measure(journal: Journal, out: Path) -> Distributions:
    """What all images of a job hold, by its policy as it is now.

    Raises JobError before the first run, and UsageError for a policy that is none.
    """
    measuring = Measuring(journal, out)
    deque(measuring, maxlen=0)
    return measuring.found


class Measuring:
    """The images of a job by its policy as it is now, counted while they are read."""

    def __init__(self, journal: Journal, out: Path) -> None:
        """Raises JobError before the first run, and UsageError for a policy that is none."""
        self._journal = journal
        self._questions = opening.questions_of(journal)
        spec = opening.last_spec(journal)
        self.spec = settled.apply(spec, settled.read(journal, out))
        self.found = Distributions()
        self._scale = _Scale(self.spec, self._questions)

    def __iter__(self) -> Iterator[Outcome]:
        """Each image that is annotated or failed, in key order. To be iterated over once."""
        annotated: Iterator[Outcome] = self._annotated()
        yield from heapq.merge(annotated, self._failed(), key=lambda outcome: outcome.ref.key)
        if (class_list := self.spec.class_list()) is not None:
            for label in self.found.statistics.unmapped:
                self.found.nearest[label] = nearest_class(label, class_list)

    def _annotated(self) -> Iterator[AnnotatedImage]:
        regions_given = reading.are_regions_given(self._questions)
        for record in counting_records(self._journal, self._questions):
            said = reading.read(record, regions_given=regions_given)
            image = self._scale.annotate(record, said)
            self.found.add(image)
            if image.was_asked:
                for threshold, kept in self.found.thresholds.items():
                    kept.add(*self._scale.kept_at(threshold))
            yield image

    def _failed(self) -> Iterator[Failure]:
        for failure in self._journal.failures():
            self.found.failed.add(failure.ref.key)
            self.found.failures[failure.kind] += 1
            yield failure


class _Scale:
    """The policy of a job, laid on one image after the other, under any --min-score."""

    def __init__(self, spec: JobSpec, questions: Sequence[Question]) -> None:
        self._spec = spec
        self._ids: dict[str, int] = {}
        self._names: tuple[str, ...] = tuple(one.name for one in spec.classes or ())
        self._policy = policy_of(spec.policy(), questions, lambda label: self._ids.get(label))
        self._at_zero = self._with(0.0)
        self._latest: tuple[Record, Reading] | None = None
        self._all: AnnotatedImage | None = None
        """The latest image without a limit of scores, as far as it was needed."""

    def _with(self, min_score: float) -> Policy:
        thresholds = self._spec.model_copy(update={"min_score": min_score})
        return replace(self._policy, thresholds=thresholds)

    def annotate(self, record: Record, said: Reading) -> AnnotatedImage:
        """The image by the policy as it is."""
        if self._spec.classes is None:  # every label is a class; of this image these are all
            self._names = tuple(sorted({one.label for one in said.instances}))
            self._ids = {name: class_id for class_id, name in enumerate(self._names)}
        image = annotate_reading(record, said, self._policy, self._names)
        self._latest = record, said
        self._all = image
        if self._spec.min_score > 0:
            self._all = annotate_reading(record, said, self._at_zero, self._names)
        return image

    def kept_at(self, threshold: float) -> tuple[int, bool]:
        """How many boxes of the latest image `--min-score` of it would keep, and whether that would
        be labelled."""
        assert self._latest is not None and self._all is not None
        record, said = self._latest
        # a better box alone decides about another one, but for the hull of several
        if any(one.reason is Reason.CONTAINER for one in self._all.dropped):
            image = annotate_reading(record, said, self._with(threshold), self._names)
            return len(image.instances), image.is_labelled
        boxes = sum(1 for _ in self._reaching(self._all.instances, threshold))
        return boxes, bool(boxes or self._has_text(said))

    def _reaching(
        self, instances: Sequence[KeptInstance], threshold: float
    ) -> Iterator[KeptInstance]:
        """Those that keep to it, or to the limit that their class has of its own."""
        classes = self._spec.classes
        for one in instances:
            has_own = classes is not None and classes[one.class_id].min_score is not None
            if has_own or one.score >= threshold:
                yield one

    def _has_text(self, said: Reading) -> bool:
        """Whether an image has a caption without any box."""
        if not said.captions:
            return False
        assert self._latest is not None
        without = replace(said, instances=())
        return annotate_reading(self._latest[0], without, self._policy, self._names).is_labelled
