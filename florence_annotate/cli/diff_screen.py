"""What `diff` prints."""

from collections import Counter
from collections.abc import Mapping

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from florence_annotate.cli import tables
from florence_annotate.evaluation.wording import listed, plain
from florence_annotate.reports.changes import Kind
from florence_annotate.reports.diff import Diff

_SHOWN = 20
"""Classes; --json has all."""
_SHOWN_IMAGES = 10


def show(found: Diff) -> None:
    """The counts, by class, and the images that changed most."""
    console = Console(highlight=False)
    images = found.images
    lines = [
        f"{plain(found.before)} → {plain(found.after)}",
        f"images {images['before']} → {images['after']}: {len(found.added)} added, "
        f"{len(found.removed)} removed, {len(found.changed)} changed",
    ]
    for what, keys in (("added", found.added), ("removed", found.removed)):
        if keys:
            lines.append(f"{what}: {listed(keys)}")
    if found.renamed:
        pairs = (f"{old} → {new}" for old, new in found.renamed)
        lines.append(f"renamed, with equal bytes: {listed(pairs)}")
    if images["with_other_texts"]:
        lines.append(f"images with other texts: {images['with_other_texts']}")
    share = "" if found.changed_share is None else f" ({found.changed_share:.1%})"
    totals = {when: counts.total() for when, counts in found.instances.items()}
    lines.append(
        f"instances {totals['before']} → {totals['after']}: {found.changed_instances} "
        f"changed{share}, {found.on_added} on added images"
    )
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
    if found.classes:
        tables.show(console, _classes(found))
    if len(found.classes) > _SHOWN:
        console.print(f"and {len(found.classes) - _SHOWN} more classes; --json has all")
    if found.relabelled:
        pairs = (f"{old} → {new} ×{count}" for (old, new), count in found.relabelled.most_common())
        console.print(f"\nrelabelled: {listed(pairs)}", markup=False, soft_wrap=True)
    if found.changed:
        tables.show(console, _images(found))
    if len(found.changed) > _SHOWN_IMAGES:
        console.print(f"and {len(found.changed) - _SHOWN_IMAGES} more images; --json has all")


def _classes(found: Diff) -> Table:
    table = tables.figures("class", right=("before", "after", *Kind))
    for name in found.classes[:_SHOWN]:
        totals = (str(counts[name]) for counts in found.instances.values())
        kinds = {kind: counts[name] for kind, counts in found.kinds.items()}
        table.add_row(escape(plain(name)), *totals, *_counts(kinds))
    if len(found.classes) > 1:
        totals = (str(counts.total()) for counts in found.instances.values())
        kinds = {kind: counts.total() for kind, counts in found.kinds.items()}
        table.add_row("all", *totals, *_counts(kinds))
    return table


def _images(found: Diff) -> Table:
    table = tables.figures("images that changed most", right=Kind)
    for key, counts in found.most_changed()[:_SHOWN_IMAGES]:
        table.add_row(escape(plain(key)), *_counts(counts))
    return table


def _counts(kinds: Mapping[Kind, int] | Counter[Kind]) -> list[str]:
    return [str(kinds[kind]) if kinds[kind] else "–" for kind in Kind]
