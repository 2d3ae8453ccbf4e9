"""What changed since another dataset, as `diff` finds it."""

from collections.abc import Iterator

from florence_annotate.reports.changes import Kind
from florence_annotate.reports.diff import Diff
from florence_annotate.reports.page.markup import Html, link, number, section, table

_IMAGES = 20


def differences(found: Diff) -> Html:
    """Their section."""
    return section(
        "changes",
        "What changed",
        _lead(found),
        table(("", ""), _sides(found)),
        _classes(found) if found.classes else "",
        _relabelled(found) if found.relabelled else "",
        _images(found) if found.changed else "",
    )


def _lead(found: Diff) -> str:
    before, after = (number(found.images[when]) for when in ("before", "after"))
    return (
        f'<p class="lead">{before} → {after} images: {len(found.added):,} added, '
        f"{len(found.removed):,} removed, {len(found.changed):,} changed, "
        f"{len(found.renamed):,} renamed.</p>"
    )


def _sides(found: Diff) -> Iterator[tuple[object, ...]]:
    yield "before", found.before
    yield "after", found.after
    yield "images with other texts", found.images["with_other_texts"]
    share = "" if found.changed_share is None else f" ({found.changed_share:.1%})"
    yield "instances that changed", f"{found.changed_instances:,}{share}"
    yield "instances on added images", found.on_added


def _classes(found: Diff) -> Html:
    rows = [
        (
            link(name, **{"class": name}),
            *(counts[name] for counts in found.instances.values()),
            *(counts[name] for counts in found.kinds.values()),
        )
        for name in found.classes
    ]
    return table(("class", "before", "after", *Kind), rows)


def _relabelled(found: Diff) -> str:
    pairs = found.relabelled.most_common()
    rows = [(old, new, count) for (old, new), count in pairs]
    return "<h3>Relabelled</h3>" + table(("before", "after", "instances"), rows)


def _images(found: Diff) -> str:
    renamed, gone = dict(found.renamed), set(found.removed)
    rows = [
        (
            key if key in gone else link(key, image=renamed.get(key, key)),
            *(counts[kind] for kind in Kind),
        )
        for key, counts in found.most_changed()[:_IMAGES]
    ]
    return "<h3>Images that changed most</h3>" + table(("image", *Kind), rows)
