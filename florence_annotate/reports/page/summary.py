"""What all images of a job hold, as figures and charts above them."""

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise

from florence_annotate.journal import Counts
from florence_annotate.reasons import Reason
from florence_annotate.reports.distributions import (
    CROWD_NAMES,
    QUANTILES,
    SCORE_BINS,
    SHAPE_NAMES,
    SIZES,
    Distributions,
)
from florence_annotate.reports.page.charts import Bar, bars, columns, figure
from florence_annotate.reports.page.markup import Cell, Html, address, link, number, section, table

_IN_CHART = 12
"""Bars; the table has more."""
_SENTENCES: Mapping[str, str] = {reason: reason.sentence for reason in Reason}

ClassNumber = Callable[[str], int | None]
"""The number of a class on the page."""


def overview(found: Distributions, counts: Counts) -> Iterator[Html]:
    """What became of the images."""
    yield _lead(found, counts)
    yield section("images", "Images", _images(found, counts))


def distributions(found: Distributions, number_of: ClassNumber) -> Iterator[Html]:
    """What is in them; sections without content are empty."""
    yield section("classes", "Classes", _classes(found, number_of), _strays(found))
    yield section("scores", "Scores", _scores(found), _thresholds(found))
    yield section("dropped", "Left out", _reasons(found))
    if found.statistics.instances:
        sizes = {what: found.sizes[name] for name, what in SIZES.items()}
        yield section("sizes", "Sizes", _counted("sizes", "Sizes of boxes", sizes), _parts(found))
        crowds = dict(zip(CROWD_NAMES, found.crowds, strict=True))
        yield section("crowds", "Boxes an image", _counted("crowds", "Images by boxes", crowds))
        shapes = dict(zip(SHAPE_NAMES, found.shapes, strict=True))
        yield section("shapes", "Shapes", _counted("shapes", "Shapes of boxes", shapes))


def _lead(found: Distributions, counts: Counts) -> Html:
    kept, dropped = found.statistics.instances.total(), found.statistics.dropped.total()
    texts = found.statistics.captions.total()
    said = [
        f"{counts.annotated:,} of {counts.images:,} images annotated",
        f"{kept:,} instances kept",
        f"{dropped:,} left out",
        *([f"{texts:,} text{'' if texts == 1 else 's'}"] if texts else []),
    ]
    return Html(f'<p class="lead">{", ".join(said)}.</p>')


def _images(found: Distributions, counts: Counts) -> Html:
    rows = [
        (link("with a label", show="labelled"), found.statistics.labelled),
        (link("without a label", show="empty"), found.empty.count),
        (link("with an answer cut at the token limit", show="truncated"), found.truncated.count),
        (link(_failed(found), show="failed"), found.failed.count),
        ("without a text or a region: not asked about", found.statistics.not_asked),
        ("not annotated yet: florence-annotate resume goes on", counts.pending),
        ("beyond --limit", counts.beyond_limit),
    ]
    return table(("", ""), [row for row in rows if row[1]])


def _failed(found: Distributions) -> str:
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in found.failures.most_common())
    return f"failed ({kinds})"


def _classes(found: Distributions, number_of: ClassNumber) -> str:
    names = found.statistics.instances.most_common()
    if not names:
        return ""
    rows = [Bar(name, count, 0, address(**{"class": name}), number_of(name))
            for name, count in names[:_IN_CHART]]  # fmt: skip
    about = f"Instances of the {len(rows)} most frequent of {len(names)} classes."
    whole = table(
        ("class", "instances"), [(link(name, **{"class": name}), count) for name, count in names]
    )
    return figure("chart-classes", "Instances by class", about, bars(rows), whole)


def _strays(found: Distributions) -> str:
    labels = found.statistics.unmapped.most_common()
    if not labels:
        return ""
    rows = [
        (link(label, **{"class": label, "show": "dropped"}), count, found.nearest.get(label) or "")
        for label, count in labels
    ]
    return "<h3>Labels of no class</h3>" + table(("label", "boxes", "near"), rows)


def _scores(found: Distributions) -> str:
    if not any(found.kept_scores) and not any(found.dropped_scores):
        return ""
    edges = [f"{place / SCORE_BINS:.1f}" for place in range(SCORE_BINS + 1)]
    ranges = [f"{low}-{high}" for low, high in pairwise(edges)]
    counts = list(zip(ranges, found.kept_scores, found.dropped_scores, strict=True))
    rows = [
        Bar(
            low,
            kept,
            dropped,
            address(score=between) if kept else "",
            dropped_address=address(score=between, show="dropped"),
        )
        for low, (between, kept, dropped) in zip(edges, counts, strict=False)
    ]
    whole = table(
        ("scores", "kept", "left out"),
        [
            (
                between,
                _leading(kept, score=between),
                _leading(dropped, score=between, show="dropped"),
            )
            for between, kept, dropped in counts
        ],
    )
    about = "Boxes by score, from the number below a column to the next; left out ones on top."
    return figure("chart-scores", "Boxes by score", about, columns(rows), whole)


def _leading(count: int, **parameters: str) -> Cell:
    """A count that leads to its images."""
    content = link(number(count), **parameters) if count else number(count)
    return Cell(f'<td class="number">{content}</td>')


def _thresholds(found: Distributions) -> str:
    if not any(kept.boxes or kept.images for kept in found.thresholds.values()):
        return ""
    rows = [(f"{least:g}", kept.boxes, kept.images) for least, kept in found.thresholds.items()]
    head = ("--min-score", "boxes", "images with a label")
    return "<h3>What other thresholds would keep</h3>" + table(head, rows)


def _reasons(found: Distributions) -> str:
    reasons = found.statistics.dropped.most_common()
    if not reasons:
        return ""
    rows = [Bar(reason, 0, count, address(reason=reason)) for reason, count in reasons]
    whole = table(
        ("reason", "boxes", "what it means"),
        [(link(name, reason=name), count, _SENTENCES[name]) for name, count in reasons],
    )
    about = "What the model said and the dataset leaves out, by the reason."
    return figure("chart-reasons", "Left out, by reason", about, bars(rows), whole)


def _parts(found: Distributions) -> Html:
    return table(
        ("of all boxes, up to", *(f"{part:.0%}" for part in QUANTILES)),
        [("part of the image", *found.shares), ("width by height", *found.ratios)],
    )


def _counted(name: str, title: str, counts: Mapping[str, int]) -> Html:
    rows = [Bar(what, count) for what, count in counts.items()]
    whole = table(("", ""), list(counts.items()))
    return figure(f"chart-{name}", title, f"{title}.", bars(rows), whole)
