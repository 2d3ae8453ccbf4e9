"""What `eval` prints."""

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from florence_annotate.cli import tables
from florence_annotate.evaluation.rates import Rates
from florence_annotate.evaluation.result import Evaluation, Figures
from florence_annotate.evaluation.wording import compared, plain

_SHOWN = 20
"""Rows of each table; --json has all."""
_SHOWN_PAIRS = 10
_LONGEST_NAME = 20


def show(found: Evaluation) -> None:
    """The figures, and where to look."""
    console = Console(highlight=False)
    averages = found.overall.averages
    console.print(
        f"{compared(found)}\n"
        f"AP {_part(averages.ap)}   AP50 {_part(averages.ap50)}   AP75 {_part(averages.ap75)}   "
        f"AR {_part(averages.ar)}\n"
        f"AP of small {_part(averages.ap_small)}, medium {_part(averages.ap_medium)}, "
        f"large {_part(averages.ap_large)}\n",
        markup=False,
    )
    console.print(_classes(found))
    if len(found.classes) > _SHOWN:
        _more(console, len(found.classes) - _SHOWN, "classes")
    _say_thresholds(console, found)
    tables.show(console, _errors(found))
    _show_confusion(console, found)
    if found.calibration.error is not None:
        tables.show(console, _calibration(found))
        console.print(f"expected calibration error {_part(found.calibration.error)}", markup=False)
    _show_strays(console, found)
    _show_worst(console, found)
    if found.notes:
        typer.echo()
    for note in found.notes:
        typer.echo(f"note: {note}")


def _classes(found: Evaluation) -> Table:
    table = tables.figures(
        "class", right=("true", "AP", "AP50", "P", "R", "F1", "best at", "P", "R", "F1")
    )
    most_first = sorted(found.classes, key=lambda one: -one.at_policy.objects)
    for figures in (*most_first[:_SHOWN], found.overall):
        table.add_row(*_figures(figures))
    return table


def _figures(figures: Figures) -> list[str]:
    best = figures.at_best
    return [
        _name(figures.name),
        str(figures.at_policy.objects),
        _part(figures.averages.ap),
        _part(figures.averages.ap50),
        *_rates(figures.at_policy),
        "–" if best is None or best.min_score is None else f"{best.min_score:g}"[:6],
        *_rates(best),
    ]


def _rates(rates: Rates | None) -> list[str]:
    if rates is None:
        return ["–"] * 3
    return [_part(rates.precision, 2), _part(rates.recall, 2), _part(rates.f1, 2)]


def _say_thresholds(console: Console, found: Evaluation) -> None:
    own = ", ".join(f"{name} {least:g}" for name, least in found.min_score_by_class.items())
    console.print(
        f"P, R and F1 (precision, recall) first as the dataset is, with min_score "
        f"{found.min_score:g}{' (' + own + ')' if own else ''}, then with the min_score that is "
        "best for F1",
        markup=False,
    )


def _errors(found: Evaluation) -> Table:
    table = tables.figures("error", right=("in the dataset", "AP50 lost"))
    for kind, each in found.errors.items():
        table.add_row(kind, str(each.boxes), _part(each.ap50_lost))
    return table


def _show_confusion(console: Console, found: Evaluation) -> None:
    """The most frequent pairs of what is there and what was said."""
    names = [*(figures.name for figures in found.classes), "nothing"]
    pairs = [
        (count, names[true], names[said])
        for true, row in enumerate(found.confusion)
        for said, count in enumerate(row)
        if count and true != said
    ]
    if not pairs:
        return
    pairs.sort(key=lambda pair: (-pair[0], pair[1:]))
    table = tables.figures("there is", "found is", right=("times",))
    for count, true, said in pairs[:_SHOWN_PAIRS]:
        table.add_row(_name(true), _name(said), str(count))
    tables.show(console, table)
    if len(pairs) > _SHOWN_PAIRS:
        _more(console, len(pairs) - _SHOWN_PAIRS, "pairs")


def _calibration(found: Evaluation) -> Table:
    table = tables.figures("scores", right=("boxes", "mean score", "right"))
    for each in found.calibration.bins:
        if each.boxes:
            row = str(each.boxes), _part(each.score), _part(each.right)
            table.add_row(f"{each.lower:.1f}–{each.upper:.1f}", *row)
    return table


def _show_strays(console: Console, found: Evaluation) -> None:
    if not found.strays:
        return
    table = tables.figures("label of no class", right=("boxes",))
    table.add_column("on missed")
    for stray in found.strays[:_SHOWN]:
        where = ", ".join(f"{name} ×{count}" for name, count in list(stray.on_missed.items())[:3])
        table.add_row(_name(stray.label), f"×{stray.boxes}", escape(where))
    tables.show(console, table)
    if len(found.strays) > _SHOWN:
        _more(console, len(found.strays) - _SHOWN, "labels")


def _show_worst(console: Console, found: Evaluation) -> None:
    if not found.worst:
        return
    table = tables.figures("worst images", right=("weight",))
    table.add_column("missed")
    table.add_column("wrong")
    for image in found.worst:
        table.add_row(
            escape(image.key),
            f"{image.weight:.2f}",
            *(_counted(counts) for counts in (image.missed, image.wrong)),
        )
    tables.show(console, table)


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{_name(name)} ×{count}" for name, count in counts.items())


def _more(console: Console, count: int, what: str) -> None:
    console.print(f"and {count} more {what}; --json has all", markup=False)


def _name(name: str) -> str:
    whole = plain(name)
    short = whole if len(whole) <= _LONGEST_NAME else f"{whole[: _LONGEST_NAME - 1]}…"
    return escape(short)


def _part(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
