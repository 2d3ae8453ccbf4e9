"""What has to be known to read the figures of an evaluation, in sentences."""

from collections.abc import Iterator

import numpy as np

from florence_annotate.evaluation.classes_on_both_sides import ClassPairs
from florence_annotate.evaluation.collecting import Collected
from florence_annotate.evaluation.pairing import Pairs
from florence_annotate.evaluation.wording import listed


def notes_of(
    found: Collected, images: Pairs, classes: ClassPairs, *, is_half_written: bool
) -> list[str]:
    """A sentence for each thing; none where all is as one expects."""
    return [
        *_about_images(found, images, is_half_written=is_half_written),
        *_about_classes(found, classes),
        *_about_boxes(found),
    ]


def _about_images(found: Collected, images: Pairs, *, is_half_written: bool) -> Iterator[str]:
    if is_half_written:
        yield (
            "the dataset was half-written by a command that was killed: evaluated is what the "
            "journal and policy.yaml say"
        )
    if some := images.only_truth:
        yield (
            f"{_are(len(some), 'image')} in the ground truth but not annotated in this job, and in "
            f"no figure: {listed(some)}"
        )
    if some := images.only_job:
        yield (
            f"{_are(len(some), 'image')} in the job but not in the ground truth, and in no figure: "
            f"{listed(some)}"
        )
    if some := found.other_size:
        yield (
            f"{_are(len(some), 'image')} of another size in the ground truth: boxes may lie "
            f"elsewhere: {listed(some)}"
        )


def _about_classes(found: Collected, classes: ClassPairs) -> Iterator[str]:
    if classes.other_names:
        yield "counted as classes of the dataset: " + listed(
            [f"{theirs} as {ours}" for theirs, ours in classes.other_names.items()]
        )
    if classes.only_truth:
        yield (
            f"the dataset has no {listed(classes.only_truth)}, which the job was not asked for: "
            f"{_are(len(found.others), 'true object')} in no figure"
        )
    if classes.never_said:
        yield f"never said is {listed(classes.never_said)}: every object of it counts as missed"
    if classes.only_dataset:
        unknown = set(classes.only_dataset)
        count = sum(label in unknown for label in found.strays.labels)
        yield (
            f"the ground truth has no {listed(classes.only_dataset)}: {_are(count, 'box')} in no "
            "figure, right or wrong"
        )
    there = set(np.asarray(found.true.class_index)[np.asarray(found.true.is_crowd) == 0].tolist())
    if some := [name for index, name in enumerate(classes.names) if index not in there]:
        yield (
            f"no true object of {listed(some)} on these images: not in AP, and boxes of it count "
            "as wrong"
        )


def _about_boxes(found: Collected) -> Iterator[str]:
    if found.crowds:
        yield (
            f"{_are(found.crowds, 'true object')} of a crowd or marked as difficult: nobody is "
            "asked for it, and boxes on it are neither right nor wrong"
        )
    if some := found.outside:
        yield (
            f"{_are(len(some), 'true box')} partly outside the image, and counted as it stands: "
            f"{listed(dict.fromkeys(some))}"
        )
    if count := int((found.true.xywh[:, 2:].min(axis=1, initial=1.0) <= 0).sum()):
        yield f"{_are(count, 'true box')} without area: nothing can be found there"
    if count := found.without_found_mask:
        yield f"{_are(count, 'box')} without a mask in the dataset, and in no figure"


def _are(count: int, noun: str) -> str:
    if count == 1:
        return f"1 {noun} is"
    return f"{count} {noun}{'es' if noun.endswith('x') else 's'} are"
