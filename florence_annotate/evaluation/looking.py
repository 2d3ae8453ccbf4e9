"""Where to look: the images with the most errors, and labels that lie on missed objects."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from hotcoco.primitives import bbox_iou

from florence_annotate.evaluation.collecting import Collected
from florence_annotate.evaluation.matching import RIGHT_FROM, Matches
from florence_annotate.evaluation.result import Stray, WorstImage


def weights_of(found: Collected, matches: Matches) -> Any:
    """How bad each image is, as an array: a missed object weighs 1, and a wrong box its score."""
    missed, wrong = matches.seen == 0, matches.right == 0
    images = len(found.keys)
    return np.bincount(np.asarray(found.true.image)[missed], minlength=images) + np.bincount(
        np.asarray(found.kept.image)[wrong],
        weights=np.asarray(found.kept.score)[wrong],
        minlength=images,
    )


def worst_images(
    found: Collected, matches: Matches, names: Sequence[str], most: int
) -> list[WorstImage]:
    """The images with the most errors, the worst first."""
    missed, wrong = matches.seen == 0, matches.right == 0
    true_on, found_on = np.asarray(found.true.image), np.asarray(found.kept.image)
    weights = weights_of(found, matches)
    worst = np.argsort(-weights, kind="stable")[:most]
    true_class = np.asarray(found.true.class_index)
    found_class = np.asarray(found.kept.class_index)

    def by_class(indices: Sequence[int]) -> dict[str, int]:
        return {names[index]: count for index, count in sorted(Counter(indices).items())}

    return [
        WorstImage(
            found.keys[image],
            float(weights[image]),
            by_class(true_class[missed & (true_on == image)].tolist()),
            by_class(found_class[wrong & (found_on == image)].tolist()),
        )
        for image in worst.tolist()
        if weights[image] > 0
    ]


def stray_labels(found: Collected, matches: Matches, names: Sequence[str]) -> list[Stray]:
    """The labels that count for no class, the most frequent first, and which missed objects they
    may stand for."""
    on_missed: dict[str, Counter[str]] = {}
    for label, index in _on_missed(found, matches):
        on_missed.setdefault(label, Counter())[names[index]] += 1
    counts = sorted(Counter(found.strays.labels).items(), key=lambda pair: (-pair[1], pair[0]))
    return [
        Stray(label, count, dict(on_missed.get(label, Counter()).most_common()))
        for label, count in counts
    ]


def _on_missed(found: Collected, matches: Matches) -> Iterator[tuple[str, int]]:
    """The label that lies best on a missed object, and the object's class."""
    strays = found.strays
    stray_on, true_on = np.asarray(strays.image), np.asarray(found.true.image)
    missed = np.flatnonzero(matches.seen == 0)
    for image in np.intersect1d(stray_on, true_on[missed]).tolist():
        first, last = np.searchsorted(stray_on, (image, image + 1)).tolist()
        places = [place for place in range(first, last) if strays.boxes[place] is not None]
        of_image = missed[slice(*np.searchsorted(true_on[missed], (image, image + 1)))]
        if not places:
            continue
        said = np.array([strays.boxes[place] for place in places], dtype=float)
        said[:, 2:] -= said[:, :2]
        overlaps = bbox_iou(said, found.true.xywh[of_image], [False] * len(of_image))
        for column, place in enumerate(of_image.tolist()):
            best = int(overlaps[:, column].argmax())
            if overlaps[best, column] >= RIGHT_FROM:
                yield strays.labels[places[best]], int(found.true.class_index[place])
