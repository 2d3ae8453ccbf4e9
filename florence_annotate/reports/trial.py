"""What settings make of one image, so that they can be tried without an export."""

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from florence_annotate.answers import reading
from florence_annotate.answers.attempts import with_counting_answers
from florence_annotate.config.job_spec import JobSpec
from florence_annotate.dataset.annotated_image import AnnotatedImage
from florence_annotate.dataset.dataset import annotate_reading
from florence_annotate.geometry.boxes import clipped
from florence_annotate.geometry.overlaps import overlapping
from florence_annotate.policy.containers import find_within
from florence_annotate.policy.settings import policy_of
from florence_annotate.types import Box, Dropped, Question, Record


class Trial:
    """One image of a job, to be annotated under any settings."""

    def __init__(self, record: Record, questions: Sequence[Question]) -> None:
        """`questions` are the job's."""
        regions_given = reading.are_regions_given(questions)
        self.record = with_counting_answers(record, questions, regions_given=regions_given)
        self._questions = questions
        self._said = reading.read(self.record, regions_given=regions_given)
        self._labels = tuple(sorted({instance.label for instance in self._said.instances}))
        self._found: dict[float | None, list[list[int]]] = {}
        """What `_rivals` found before."""

    def annotate(self, spec: JobSpec) -> AnnotatedImage:
        """The image under a specification. Without a class list its labels are the classes, and
        their ids are its own.

        Raises UsageError for settings that don't fit what the job asked.
        """
        names = self._labels
        if spec.classes is not None:
            names = tuple(one.name for one in spec.classes)
        ids = {name: class_id for class_id, name in enumerate(names)}
        policy = policy_of(spec.policy(), self._questions, ids.get)
        return annotate_reading(self.record, self._said, policy, names)

    def around(self, dropped: Dropped, spec: JobSpec) -> "Trial":
        """The image with those instances alone that have a say in whether one stays that was
        dropped, under the specification or one that lets more overlap.

        Of thousands, the others take their time in every trial.
        """
        # what verifies a class may be anywhere on the image
        if spec.verifies:
            return self
        size = self.record.width, self.record.height
        own = dropped.instance and clipped(dropped.instance.box, *size)
        # equal boxes are duplicates, whatever may overlap
        asked = [index for index, box in enumerate(self._boxes) if box == own]
        involved = set(asked)
        rivals = self._rivals(spec.least_overlap)
        while asked:
            new = set(rivals[asked.pop()]) - involved
            involved |= new
            asked += new
        for index in list(involved):
            involved.update(find_within(self._boxes[index], self._edges, *size))
        local = copy(self)
        instances = tuple(self._said.instances[index] for index in sorted(involved))
        local._said = replace(self._said, instances=instances)
        return local

    @cached_property
    def _boxes(self) -> list[Box]:
        """Of the instances, as a policy sees them."""
        size = self.record.width, self.record.height
        return [clipped(one.box, *size) for one in self._said.instances]

    @cached_property
    def _edges(self) -> Any:
        """The same as an array, shape (boxes, 4)."""
        return np.array(self._boxes, dtype=np.float64)

    def _rivals(self, least: float | None) -> list[list[int]]:
        """For each instance those that it overlaps by more than the least."""
        if least not in self._found:
            none: list[list[int]] = [[] for _ in self._boxes]
            self._found[least] = none if least is None else overlapping(self._boxes, least)
        return self._found[least]
