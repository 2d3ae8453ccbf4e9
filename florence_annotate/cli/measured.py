"""How the distributions of a job look: as tables, and as JSON values."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from florence_annotate.cli import screen
from florence_annotate.cli.explained import plain
from florence_annotate.journal import Counts
from florence_annotate.reasons import Reason
from florence_annotate.reports.distributions import (
    CROWD_NAMES,
    QUANTILES,
    SCORE_BINS,
    SHAPE_NAMES,
    SHAPES,
    SIZES,
    Distributions,
    Named,
)
from florence_annotate.reports.near_identical import NearIdentical

_SHOWN = 20
"""Rows of a table; `--json` has all."""
_BAR = 24
"""Characters of the longest bar."""
_SENTENCES: dict[str, str] = {reason: reason.sentence for reason in Reason}


class _Page:
    def __init__(self) -> None:
        self._console = Console(highlight=False, markup=False, emoji=False)

    def say(self, text: str, style: str = "") -> None:
        self._console.print(Text(plain(text), style, overflow="fold"))

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """A table of numbers, the last column of words; nothing where it has no row."""
        rows = list(rows)
        if not rows:
            return
        self.say("")
        self.say(title, "bold")
        table = Table(box=None, pad_edge=False, header_style="dim", show_header=any(columns))
        for place, name in enumerate(columns):
            last = place == len(columns) - 1
            table.add_column(name, justify="left" if last else "right", overflow="fold")
        for row in rows[:_SHOWN]:
            table.add_row(*(Text(plain(str(cell))) for cell in row))
        self._console.print(table)
        if len(rows) > _SHOWN:
            self.say(f"and {len(rows) - _SHOWN} more; --json has all")


def show(found: Distributions, counts: Counts, same: NearIdentical | None, out: Path) -> None:
    """All of it, as tables."""
    page, statistics = _Page(), found.statistics
    boxes, dropped = statistics.instances.total(), statistics.dropped.total()
    page.say(
        f"{counts.annotated} of {counts.images} images annotated, {boxes} instances kept, "
        f"{dropped} left out",
        "bold",
    )
    names = statistics.instances.most_common()
    page.table("classes", ("", ""), [(count, name) for name, count in names])
    page.table(
        "left out, by reason",
        ("", "", ""),
        [(count, reason, _SENTENCES[reason]) for reason, count in statistics.dropped.most_common()],
    )
    page.table(
        "labels of no class",
        ("", ""),
        [
            (count, label + (f" → {near}?" if (near := found.nearest.get(label)) else ""))
            for label, count in statistics.unmapped.most_common()
        ],
    )
    if boxes or any(found.dropped_scores):
        _show_scores(page, found)
        _show_thresholds(page, found)
    if boxes:
        _show_boxes(page, found)
    _show_images(page, found, counts, out)
    if same is not None:
        _show_same(page, same)


def _show_scores(page: _Page, found: Distributions) -> None:
    most = max(1, *found.kept_scores)
    rows = []
    for place, kept in enumerate(found.kept_scores):
        edges = (f"{place / SCORE_BINS:.1f}", f"{(place + 1) / SCORE_BINS:.1f}")
        rows.append((*edges, kept, found.dropped_scores[place], "█" * -(-_BAR * kept // most)))
    page.table("scores", ("from", "to", "kept", "left out", ""), rows)


def _show_thresholds(page: _Page, found: Distributions) -> None:
    page.table(
        "what --min-score would keep",
        ("", "boxes", "images labelled", ""),
        [
            (f"{threshold:g}", kept.boxes, kept.images, "")
            for threshold, kept in found.thresholds.items()
        ],
    )


def _show_boxes(page: _Page, found: Distributions) -> None:
    page.table("boxes an image", ("images", "boxes"), zip(found.crowds, CROWD_NAMES, strict=True))
    sizes = [(found.sizes[name], about) for name, about in SIZES.items()]
    page.table("sizes of boxes", ("", ""), sizes)
    page.table("shapes of boxes", ("", ""), zip(found.shapes, SHAPE_NAMES, strict=True))
    page.table(
        "of all boxes",
        ("", *(f"{part:.0%}" for part in QUANTILES), ""),
        [
            ("part of the image, up to", *(f"{one:.4f}" for one in found.shares), ""),
            ("width by height, up to", *(f"{one:.2f}" for one in found.ratios), ""),
        ],
    )


def _show_images(page: _Page, found: Distributions, counts: Counts, out: Path) -> None:
    kinds = ", ".join(f"{count} {kind}" for kind, count in found.failures.most_common())
    rows = [
        (found.empty.count, "without a label", found.empty),
        (found.truncated.count, "with an answer cut at the token limit", found.truncated),
        (found.failed.count, f"failed ({kinds}): {screen.command('failures', out)}", found.failed),
    ]
    lines = [(count, f"{what}: {_first(named)}") for count, what, named in rows if count]
    if found.statistics.not_asked:
        lines.append((found.statistics.not_asked, "without a text or a region: not asked about"))
    if counts.pending:
        lines.append((counts.pending, f"not annotated yet: {screen.command('resume', out)}"))
    page.table("images", ("", ""), lines)


def _first(named: Named) -> str:
    more = ", …" if named.count > len(named.first) else ""
    return ", ".join(named.first) + more


def _show_same(page: _Page, same: NearIdentical) -> None:
    page.table(
        "images that look nearly the same",
        ("", ""),
        [(len(group), ", ".join(group)) for group in same.groups],
    )
    if not same.groups:
        page.say("")
        page.say("no two images look nearly the same")
    if same.unread:
        key, why = next(iter(same.unread.items()))
        page.say(f"{len(same.unread)} could not be read ({key}: {why})")


def to_json(found: Distributions, counts: Counts, same: NearIdentical | None) -> dict[str, Any]:
    """All of it, as JSON values."""
    statistics = found.statistics
    values: dict[str, Any] = {
        "images": {
            "images": counts.images,
            "annotated": counts.annotated,
            "failed": _named(found.failed) | {"by_kind": dict(found.failures)},
            "pending": counts.pending,
            "empty": _named(found.empty),
            "truncated": _named(found.truncated),
            "not_asked": statistics.not_asked,
        },
        "instances": statistics.instances.total(),
        "classes": dict(statistics.instances.most_common()),
        "dropped": dict(statistics.dropped.most_common()),
        "unmapped_labels": [
            {"label": label, "count": count, "nearest": found.nearest.get(label)}
            for label, count in statistics.unmapped.most_common()
        ],
        "scores": [
            {"from": place / SCORE_BINS, "to": (place + 1) / SCORE_BINS, "kept": kept}
            | {"dropped": found.dropped_scores[place]}
            for place, kept in enumerate(found.kept_scores)
        ],
        "thresholds": [
            {"min_score": threshold, "boxes": kept.boxes, "images_labelled": kept.images}
            for threshold, kept in found.thresholds.items()
        ],
        "boxes_an_image": {str(n): found.boxes_an_image[n] for n in sorted(found.boxes_an_image)},
        "sizes": {name: found.sizes[name] for name in SIZES},
        "part_of_image": _by_quantile(found.shares),
        "width_by_height": _by_quantile(found.ratios)
        | {"between": list(SHAPES), "boxes": found.shapes},
    }
    if same is not None:
        values["near_identical"] = {"groups": same.groups, "unread": same.unread}
    return values


def _named(named: Named) -> dict[str, Any]:
    return {"count": named.count, "first": named.first}


def _by_quantile(values: Sequence[float]) -> dict[str, Any]:
    pairs = zip(QUANTILES, values, strict=False)
    return {"quantiles": {f"{part:g}": round(value, 6) for part, value in pairs}}
