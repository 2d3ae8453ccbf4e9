"""A job's dataset, under its policy, held to a ground truth."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from hotcoco.metrics import calibration_curve, calibration_error

from florence_annotate.config.job_spec import JobSpec
from florence_annotate.dataset import opening, settled
from florence_annotate.dataset.annotated_image import AnnotatedImage
from florence_annotate.dataset.dataset import Dataset
from florence_annotate.errors import UsageError
from florence_annotate.evaluation import gates
from florence_annotate.evaluation.averages import average
from florence_annotate.evaluation.classes_on_both_sides import ClassPairs, pair_classes
from florence_annotate.evaluation.collecting import Collected, collect
from florence_annotate.evaluation.looking import stray_labels, worst_images
from florence_annotate.evaluation.matching import Iou, Matches, match
from florence_annotate.evaluation.notes import notes_of
from florence_annotate.evaluation.pairing import JobImage, Pairs, pair
from florence_annotate.evaluation.rates import Rates, best_rates
from florence_annotate.evaluation.result import (
    Bin,
    Calibration,
    ErrorKind,
    Evaluation,
    Figures,
)
from florence_annotate.evaluation.truth import read_truth
from florence_annotate.evaluation.verdicts import Verdicts
from florence_annotate.journal import Journal

_BINS = 10
_WORST = 10


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of an evaluation."""

    out: Path
    """The job's folder."""
    ground_truth: Path
    """A COCO file, or a folder of YOLO's or Pascal VOC's labels."""
    iou: Iou = "bbox"
    """What is compared: boxes, or masks."""
    fail_under: str | None = None
    """See `gates`."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What an evaluation says of a dataset, and of each of its images."""

    evaluation: Evaluation
    verdicts: Verdicts


def evaluate(request: Request) -> Evaluation:
    """The figures of a job's dataset; see `judge`."""
    return judge(request).evaluation


def judge(request: Request) -> Judgement:
    """Hold a job's dataset as its policy has it now, exported or not, to what is true.

    Raises JobError for a folder without a job, and UsageError for a ground truth that can't be
    read or has no image, no class or, where they are asked for, no masks in common with it, and for
    gates that make no sense.
    """
    asked = [] if request.fail_under is None else gates.parse(request.fail_under)
    with opening.open_journal(request.out) as journal:
        spec = settled.apply(opening.last_spec(journal), settled.read(journal, request.out))
        dataset = opening.open_dataset(journal, spec)
        if not dataset.class_names:
            raise UsageError(
                f"{request.out} holds no boxes, and boxes alone are evaluated: ask for some, as "
                "--task detection does"
            )
        truth = read_truth(request.ground_truth, with_masks=request.iou == "segm")
        images = pair(list(_images(journal)), truth)
        classes = pair_classes(dataset.class_names, spec.class_list(), truth.classes)
        asked = gates.with_classes(asked, classes.names)
        limits = {
            one.name: one.min_score for one in spec.classes or () if one.min_score is not None
        }
        has_thresholds = any((spec.min_score, *limits.values()))
        found = collect(
            _twice(dataset, spec) if has_thresholds else ((image, image) for image in dataset),
            images.truth_of,
            classes,
            has_thresholds=has_thresholds,
            with_masks=request.iou == "segm",
        )
        del truth
        images.truth_of.clear()  # the columns are left, which are smaller
        is_half_written = not journal.exports.is_finished()
    _refuse_without_masks(request, found)
    notes = notes_of(found, images, classes, is_half_written=is_half_written)
    figured, kept = _figure(request, found, images, classes, notes, (spec.min_score, limits))
    evaluation = replace(figured, missed_gates=figured.gates_missed(asked))
    return Judgement(evaluation, Verdicts(found, kept, classes.names))


def _images(journal: Journal) -> Iterator[JobImage]:
    """The images that are annotated, by what they are called."""
    assigned = dict(journal.exports.assignments.each())
    for key in journal.annotated_keys():
        kept = assigned.get(key)
        yield JobImage(key, kept.name, kept.split) if kept else JobImage(key)


def _twice(dataset: Dataset, spec: JobSpec) -> Iterable[tuple[AnnotatedImage, AnnotatedImage]]:
    """Each image as the dataset has it, and without a least score."""
    classes = spec.classes and tuple(replace(one, min_score=None) for one in spec.classes)
    unlimited = spec.model_copy(update={"min_score": 0.0, "classes": classes})
    return dataset.beside(unlimited.policy())


def _refuse_without_masks(request: Request, found: Collected) -> None:
    if found.without_true_mask:
        raise UsageError(
            f"{found.without_true_mask} of {found.without_true_mask + len(found.true)} objects in "
            f"{request.ground_truth} have no mask: evaluate boxes, without --iou segm"
        )
    if found.without_found_mask and not len(found.kept):
        raise UsageError(
            f"{request.out} has boxes alone, without masks: evaluate them without --iou segm, or "
            "annotate with --recipe instance-segmentation"
        )


def _figure(
    request: Request,
    found: Collected,
    images: Pairs,
    classes: ClassPairs,
    notes: list[str],
    limits: tuple[float, dict[str, float]],
) -> tuple[Evaluation, Matches]:
    """The figures, and what of the dataset as it is matches what."""
    count = len(classes.names)
    comparing = found.true, found.sizes, count, request.iou
    averaged = average(found.true, found.whole, found.sizes, count, request.iou)
    kept = match(found.true, found.kept, *comparing[1:])
    whole = kept if found.whole is found.kept else match(found.true, found.whole, *comparing[1:])
    overall, *by_class = [
        Figures(
            name,
            averages,
            _rates(found, kept, index),
            _best(found, whole, index),
            None if index is None else averaged.curves[index],
        )
        for index, name, averages in zip(
            (None, *range(count)),
            ("all", *classes.names),
            (averaged.overall, *averaged.by_class),
            strict=True,
        )
    ]
    figures = Evaluation(
        str(request.out),
        str(request.ground_truth),
        request.iou,
        len(found.keys),
        images.only_job,
        images.only_truth,
        *limits,
        overall,
        by_class,
        kept.confusion.tolist(),
        {kind: ErrorKind(kept.errors[kind], cost) for kind, cost in averaged.ap50_lost.items()},
        _calibration(found, whole),
        stray_labels(found, kept, classes.names),
        worst_images(found, kept, classes.names, _WORST),
        notes,
        [],
    )
    return figures, kept


def _of_class(column: Any, index: int | None) -> Any:
    """Where a column of classes has one; everywhere, for all of them together."""
    classes = np.asarray(column)
    return np.ones(len(classes), dtype=bool) if index is None else classes == index


def _rates(found: Collected, matches: Matches, index: int | None) -> Rates:
    right = matches.right[_of_class(found.kept.class_index, index)]
    seen = matches.seen[_of_class(found.true.class_index, index)]
    return Rates(int((right >= 0).sum()), int((right == 1).sum()), int((seen >= 0).sum()))


def _best(found: Collected, matches: Matches, index: int | None) -> Rates | None:
    judged = _of_class(found.whole.class_index, index) & (matches.right >= 0)
    seen = matches.seen[_of_class(found.true.class_index, index)]
    scores = np.asarray(found.whole.score)[judged]
    return best_rates(scores, matches.right[judged] == 1, int((seen >= 0).sum()))


def _calibration(found: Collected, matches: Matches) -> Calibration:
    judged = matches.right >= 0
    scores, right = np.asarray(found.whole.score)[judged], matches.right[judged] == 1
    if not len(scores):
        return Calibration(None, [])
    error, _ = calibration_error(scores, right, n_bins=_BINS)
    bins = [
        Bin(
            one["bin_lower"],
            one["bin_upper"],
            one["avg_confidence"],
            one["avg_accuracy"],
            one["count"],
        )
        for one in calibration_curve(scores, right, n_bins=_BINS)
    ]
    return Calibration(error, bins)
