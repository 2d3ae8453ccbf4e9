"""Charts as plain SVG, each with a title, a description, and its numbers as a table.

They have no colours: the page's style gives them to the classes `bar`, `bar-dropped`, `axis`,
`gridline`, `line`, `diagonal`, `point`, `label` and `value`, and to what bears the number of a
class of the dataset in `data-class`. Lengths are in units of the viewBox.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from florence_annotate.reports.page.markup import Html, number, text

_WIDTH = 440
_ROW = 22
_NAMES, _VALUES = 150, 60
"""What names, and counts, take of the width."""
_LONGEST_NAME = 22
"""Characters; the table has the whole name."""
_HEIGHT = 200
_EDGE = 44
"""Around what is drawn in two dimensions."""
_SQUARE = 220


class Bar(NamedTuple):
    """A count with a name, in two parts."""

    name: str
    kept: int
    dropped: int = 0
    address: str = ""
    """Where it leads, as HTML."""
    class_number: int | None = None
    dropped_address: str = ""
    """Where its second part leads, if that is elsewhere."""


class Line(NamedTuple):
    """Points between 0 and 1."""

    name: str
    points: Sequence[tuple[float, float]]
    class_number: int | None = None


def figure(name: str, title: str, about: str, drawing: tuple[int, str], table: Html) -> Html:
    """A chart with its table; `drawing` is its height and what is in it."""
    height, content = drawing
    return Html(
        f'<figure class="chart"><figcaption>{text(title)}</figcaption>'
        f'<svg class="chart-svg" role="img" viewBox="0 0 {_WIDTH} {height}" '
        f'aria-labelledby="{name}-title {name}-about"><title id="{name}-title">{text(title)}'
        f'</title><desc id="{name}-about">{text(about)}</desc>{content}</svg>'
        f"<details><summary>As a table</summary>{table}</details></figure>"
    )


def bars(rows: Sequence[Bar]) -> tuple[int, str]:
    """Counts below each other, the longest bar over the whole width."""
    most = max((row.kept + row.dropped for row in rows), default=0) or 1
    unit = (_WIDTH - _NAMES - _VALUES) / most
    return len(rows) * _ROW, "".join(
        _linked(row.address, "".join(_bar(row, place * _ROW, unit)))
        for place, row in enumerate(rows)
    )


def _bar(row: Bar, top: int, unit: float) -> Iterator[str]:
    yield _write(_short(row.name), _NAMES - 8, top + 15, "label", "end")
    kept, dropped = row.kept * unit, row.dropped * unit
    yield _rectangle((_NAMES, top + 3, kept, _ROW - 6), "bar", row.class_number)
    if dropped:
        yield _rectangle((_NAMES + kept, top + 3, dropped, _ROW - 6), "bar-dropped")
    yield _write(number(row.kept + row.dropped), _NAMES + kept + dropped + 6, top + 15, "value")


def columns(rows: Sequence[Bar]) -> tuple[int, str]:
    """Counts beside each other, their names below them."""
    most = max((row.kept + row.dropped for row in rows), default=0) or 1
    width = (_WIDTH - 2 * _EDGE) / len(rows)
    bottom, unit = _HEIGHT - 24, (_HEIGHT - 48) / most
    parts = [_write(f"{most:,}", _EDGE - 6, bottom - most * unit + 4, "value", "end")]
    parts += [_straight("gridline", _EDGE, bottom - most * unit, _WIDTH - _EDGE)]
    for place, row in enumerate(rows):
        left = _EDGE + place * width
        kept, dropped = row.kept * unit, row.dropped * unit
        content = _rectangle((left + 2, bottom - kept, width - 4, kept), "bar")
        content += _write(row.name, left + width / 2, _HEIGHT - 8, "label", "middle")
        parts.append(_linked(row.address, content))
        if dropped:
            where = (left + 2, bottom - kept - dropped, width - 4, dropped)
            rectangle = _rectangle(where, "bar-dropped")
            parts.append(_linked(row.dropped_address, rectangle, f"{row.name}, left out"))
    return _HEIGHT, "".join([*parts, _straight("axis", _EDGE, bottom, _WIDTH - _EDGE)])


def curves(lines: Sequence[Line], across: str, up: str) -> tuple[int, str]:
    """Lines over a square from 0 to 1, each named beside it."""
    parts = [_square(across, up)]
    for place, line in enumerate(lines):
        parts.append(_polyline(line))
        top = _EDGE + place * _ROW
        where = (_EDGE + _SQUARE + 24, top - 4, 14, 4)
        parts.append(_rectangle(where, "bar", line.class_number))
        parts.append(_write(_short(line.name), _EDGE + _SQUARE + 46, top + 2, "label"))
    return max(_SQUARE + 2 * _EDGE, _EDGE + len(lines) * _ROW), "".join(parts)


class Bin(NamedTuple):
    """Boxes of similar scores: how many, their mean score, and the part of them that is right."""

    boxes: int
    score: float
    right: float


def reliability(bins: Iterable[Bin]) -> tuple[int, str]:
    """Scores against the part that is right: on the diagonal they mean what they say."""
    there = [each for each in bins if each.boxes]
    most = max((each.boxes for each in there), default=1)
    parts = [_square("mean score", "right")]
    parts.append(
        f'<line class="diagonal" x1="{_EDGE}" y1="{_EDGE + _SQUARE}" x2="{_EDGE + _SQUARE}" '
        f'y2="{_EDGE}"/>'
    )
    parts.append(_polyline(Line("", [(each.score, each.right) for each in there])))
    left = _EDGE + _SQUARE + 20
    parts.append(_write("boxes", left, _EDGE - 10, "label"))
    for place, each in enumerate(there):
        x, y = _in_square(each.score, each.right)
        parts.append(f'<circle class="point" cx="{x:.1f}" cy="{y:.1f}" r="4"/>')
        top = _EDGE + place * _ROW
        wide = (_WIDTH - left - 96) * each.boxes / most
        parts.append(_write(f"{each.score:.2f}", left, top + 12, "value"))
        parts.append(_rectangle((left + 34, top, wide, _ROW - 6), "bar"))
        parts.append(_write(number(each.boxes), left + 40 + wide, top + 12, "value"))
    return _SQUARE + 2 * _EDGE, "".join(parts)


def _square(across: str, up: str) -> str:
    """Axes from 0 to 1."""
    parts = []
    for quarter in range(5):
        share = quarter / 4
        x, y = _in_square(share, share)
        kind = "gridline" if quarter else "axis"
        parts.append(_straight(kind, _EDGE, y, _EDGE + _SQUARE))
        parts.append(
            f'<line class="{kind}" x1="{x:.1f}" y1="{_EDGE}" x2="{x:.1f}" y2="{_EDGE + _SQUARE}"/>'
        )
        parts.append(_write(f"{share:g}", x, _EDGE + _SQUARE + 16, "value", "middle"))
        parts.append(_write(f"{share:g}", _EDGE - 6, y + 4, "value", "end"))
    parts.append(_write(across, _EDGE + _SQUARE / 2, _SQUARE + 2 * _EDGE - 8, "label", "middle"))
    parts.append(_write(up, _EDGE - 6, _EDGE - 16, "label", "middle"))
    return "".join(parts)


def _in_square(x: float, y: float) -> tuple[float, float]:
    return _EDGE + x * _SQUARE, _EDGE + (1 - y) * _SQUARE


def _polyline(line: Line) -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (_in_square(*point) for point in line.points))
    return f'<polyline class="line"{_of_class(line.class_number)} fill="none" points="{points}"/>'


def _rectangle(
    where: tuple[float, float, float, float], kind: str, class_number: int | None = None
) -> str:
    x, y, width, height = where
    return (
        f'<rect class="{kind}"{_of_class(class_number)} x="{x:.1f}" y="{y:.1f}" '
        f'width="{width:.1f}" height="{height:.1f}"/>'
    )


def _straight(kind: str, left: float, y: float, right: float) -> str:
    return f'<line class="{kind}" x1="{left:.1f}" y1="{y:.1f}" x2="{right:.1f}" y2="{y:.1f}"/>'


def _write(content: str, x: float, y: float, kind: str, anchor: str = "start") -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" font-size="12" text-anchor="{anchor}">'
        f"{text(content)}</text>"
    )


def _linked(address: str, content: str, name: str = "") -> str:
    """For who points at it: keys and screen readers find the same links in the table."""
    if not address:
        return content
    named = f' aria-label="{text(name)}"' if name else ""
    return f'<a href="{address}" tabindex="-1"{named}>{content}</a>'


def _of_class(class_number: int | None) -> str:
    return "" if class_number is None else f' data-class="{class_number}"'


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
