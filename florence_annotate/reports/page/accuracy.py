"""How good a dataset is, where a ground truth was given: `eval`'s figures, and its curves."""

from collections.abc import Iterator, Sequence

import numpy as np

from florence_annotate.evaluation.rates import Rates
from florence_annotate.evaluation.result import Evaluation, Figures
from florence_annotate.evaluation.wording import compared
from florence_annotate.reports.page.charts import (
    Bar,
    Bin,
    Line,
    bars,
    curves,
    figure,
    reliability,
)
from florence_annotate.reports.page.markup import (
    Cell,
    Html,
    figure_cell,
    link,
    notes,
    number,
    section,
    table,
)
from florence_annotate.reports.page.summary import ClassNumber

_LARGEST = 12
"""Classes that have a line, or a row, in what would be crowded by more."""
_WORST = 10
_NOTHING = "nothing"


def accuracy(found: Evaluation, number_of: ClassNumber) -> Iterator[Html]:
    """Sections; those without content are empty."""
    yield section("accuracy", "Against the ground truth", _lead(found), _classes(found))
    yield section("worst", "Worst images", _worst(found))
    yield section("errors", "Errors", _errors(found), _confusion(found))
    yield section("calibration", "Calibration", _calibration(found))
    yield section("curves", "Precision and recall", _curves(found, number_of))
    yield section("notes", "About these figures", notes(found.notes))


def _lead(found: Evaluation) -> str:
    averages, policy = found.overall.averages, found.overall.at_policy
    figures = [("AP", averages.ap), ("AP50", averages.ap50), ("AP75", averages.ap75)]
    rates = [("precision", policy.precision), ("recall", policy.recall), ("F1", policy.f1)]
    said = ", ".join(f"{name} {number(value)}" for name, value in (*figures, *rates))
    return (
        f'<p class="lead">{compared(found)}: {said}.</p>'
        + "<p>Precision, recall and F1 as the dataset is, with a min_score of "
        + f"{found.min_score:g}; right is what overlaps a true object of its class by half.</p>"
    )


def _classes(found: Evaluation) -> Html:
    head = ("class", "true", "AP", "AP50", "P", "R", "F1", "best at", "P", "R", "F1")
    rows = [
        [link(each.name, **{"class": each.name, "show": "wrong"}), *_figures(each)]
        for each in _by_size(found)
    ]
    return table(head, [["all", *_figures(found.overall)], *rows])


def _by_size(found: Evaluation) -> list[Figures]:
    return sorted(found.classes, key=lambda one: -one.at_policy.objects)


def _figures(figures: Figures) -> list[object]:
    best = figures.at_best
    return [
        figures.at_policy.objects,
        figures.averages.ap,
        figures.averages.ap50,
        *_rates(figures.at_policy),
        figure_cell(None if best is None else best.min_score, 2),
        *_rates(best),
    ]


def _rates(rates: Rates | None) -> list[Cell]:
    values = (None,) * 3 if rates is None else (rates.precision, rates.recall, rates.f1)
    return [figure_cell(value, 2) for value in values]


def _errors(found: Evaluation) -> Html:
    rows = [Bar(kind, each.boxes) for kind, each in found.errors.items()]
    whole = table(
        ("error", "in the dataset", "AP50 lost"),
        [(kind, each.boxes, each.ap50_lost) for kind, each in found.errors.items()],
    )
    about = "Wrong boxes by what is wrong with them, and missed objects."
    return figure("chart-errors", "Errors by kind", about, bars(rows), whole)


def _confusion(found: Evaluation) -> str:
    """Which class was taken for which: rows are what is there, columns what was said."""
    names = [*(each.name for each in found.classes), _NOTHING]
    matrix = np.asarray(found.confusion)
    involved = matrix.sum(axis=0) + matrix.sum(axis=1)
    largest = np.argsort(-involved[:-1], kind="stable")[:_LARGEST]
    shown = [*sorted(largest.tolist()), len(names) - 1]
    rows = [
        [names[true], *(_confused(matrix[true], said, true) for said in shown)] for true in shown
    ]
    left = len(names) - len(shown)
    more = f"<p>{left:,} classes of fewer boxes are left out.</p>" if left else ""
    head = ["there is ↓ found is →", *(names[said] for said in shown)]
    return f"<h3>Confusion</h3>{table(head, rows, 'confusion')}{more}"


def _confused(row: Sequence[int], said: int, true: int) -> Cell:
    count, whole = int(row[said]), int(sum(row)) or 1
    heat = min(9, 10 * count // whole)
    kind = " right" if said == true and count else ""
    return Cell(f'<td class="number heat-{heat}{kind}">{number(count) if count else ""}</td>')


def _worst(found: Evaluation) -> Html:
    rows = [
        (link(each.key, image=each.key), each.weight, *map(_counted, (each.missed, each.wrong)))
        for each in found.worst[:_WORST]
    ]
    if not rows:
        return Html("")
    return table(("image", "weight", "missed", "wrong"), rows)


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} ×{count}" for name, count in counts.items())


def _calibration(found: Evaluation) -> str:
    bins = [each for each in found.calibration.bins if each.boxes]
    if not bins:
        return ""
    whole = table(
        ("scores", "boxes", "mean score", "right"),
        [(f"{one.lower:.1f}–{one.upper:.1f}", one.boxes, one.score, one.right) for one in bins],
    )
    about = "The part of the boxes that is right, against their mean score; on the diagonal scores "
    drawing = reliability(Bin(one.boxes, one.score, one.right) for one in bins)
    return (
        figure("chart-calibration", "Do scores mean what they say?", f"{about}do.", drawing, whole)
        + f"<p>Expected calibration error {number(found.calibration.error)}.</p>"
    )


def _curves(found: Evaluation, number_of: ClassNumber) -> str:
    drawn = [each for each in _by_size(found) if each.curve is not None]
    if not drawn:
        return ""
    heights = {each.name: each.curve.precision for each in drawn if each.curve is not None}
    mean = np.mean(list(heights.values()), axis=0).tolist()
    recalls = np.linspace(0, 1, len(mean)).tolist()
    lines = [Line("all classes, mean", list(zip(recalls, mean, strict=True)))]
    for each in drawn[:_LARGEST]:
        points = list(zip(recalls, heights[each.name], strict=True))
        lines.append(Line(each.name, points, number_of(each.name)))
    at = range(0, len(mean), 10)
    whole = table(
        ("precision at a recall of", *(f"{recalls[place]:.1f}" for place in at)),
        [(line.name, *(line.points[place][1] for place in at)) for line in lines],
    )
    about = (
        f"Of each recall the best precision at it or above, of the {len(lines) - 1} classes with "
        f"the most objects of {len(drawn)}, at an overlap of 0.5."
    )
    drawing = curves(lines, "recall", "precision")
    return figure("chart-curves", "Precision by recall", about, drawing, whole)
