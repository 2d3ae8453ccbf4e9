"""What settings make of one image, so that they can be tried without an export."""

from collections.abc import Sequence

from florence_annotate.answers import reading
from florence_annotate.answers.attempts import with_counting_answers
from florence_annotate.config.job_spec import JobSpec
from florence_annotate.dataset.annotated_image import AnnotatedImage
from florence_annotate.dataset.dataset import annotate_reading
from florence_annotate.policy.settings import policy_of
from florence_annotate.types import Question, Record


class Trial:
    """One image of a job, to be annotated under any settings."""

    def __init__(self, record: Record, questions: Sequence[Question]) -> None:
        """`questions` are the job's."""
        regions_given = reading.are_regions_given(questions)
        self.record = with_counting_answers(record, questions, regions_given=regions_given)
        self._questions = questions
        self._said = reading.read(self.record, regions_given=regions_given)

    def annotate(self, spec: JobSpec) -> AnnotatedImage:
        """The image under a specification. Without a class list its labels are the classes, and
        their ids are its own.

        Raises UsageError for settings that don't fit what the job asked.
        """
        if spec.classes is None:
            names = tuple(sorted({instance.label for instance in self._said.instances}))
        else:
            names = tuple(one.name for one in spec.classes)
        ids = {name: class_id for class_id, name in enumerate(names)}
        policy = policy_of(spec.policy(), self._questions, ids.get)
        return annotate_reading(self.record, self._said, policy, names)
