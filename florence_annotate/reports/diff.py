"""What differs between two datasets, counted."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from florence_annotate.config.gate_settings import Share
from florence_annotate.dataset.annotated_image import AnnotatedImage
from florence_annotate.reports.changes import Change, Kind, Thing, changes, things_of


@dataclass(frozen=True, slots=True)
class Kept:
    """Of an image what is compared: it may have to wait for the other side's."""

    key: str
    things: list[Thing]
    texts: list[tuple[str, str]]

    @classmethod
    def of(cls, image: "AnnotatedImage | Kept") -> "Kept":
        if isinstance(image, Kept):
            return image
        texts = [(caption.task, caption.text) for caption in image.captions]
        return cls(image.ref.key, things_of(image), texts)


@dataclass(slots=True)
class Diff:
    before: str
    after: str
    images: Counter[str] = field(default_factory=Counter)
    """How many there are `before`, `after`, and with other texts."""
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    """Keys of images that only one side has."""
    renamed: list[tuple[str, str]] = field(default_factory=list)
    """Keys of images with equal bytes."""
    on_added: int = 0
    """Instances of images that were added: no changes, but more data."""
    instances: dict[str, Counter[str]] = field(
        default_factory=lambda: {"before": Counter(), "after": Counter()}
    )
    """By class."""
    kinds: dict[Kind, Counter[str]] = field(
        default_factory=lambda: {kind: Counter() for kind in Kind}
    )
    """By class; those of images that were added stay out."""
    relabelled: Counter[tuple[str, str]] = field(default_factory=Counter)
    changed: list[tuple[str, Counter[Kind]]] = field(default_factory=list)
    """Key, as it is before, and what changed there."""

    @property
    def changed_instances(self) -> int:
        return sum(counts.total() for counts in self.kinds.values())

    @property
    def changed_share(self) -> float | None:
        """Of the instances before; None where there were none."""
        before = self.instances["before"].total()
        return self.changed_instances / before if before else None

    @property
    def classes(self) -> list[str]:
        """Those that either side has, the one of most changes first."""
        names = {*self.instances["before"], *self.instances["after"]}
        count = {name: sum(kinds[name] for kinds in self.kinds.values()) for name in names}
        return sorted(names, key=lambda name: (-count[name], name))

    def most_changed(self) -> list[tuple[str, Counter[Kind]]]:
        return sorted(self.changed, key=lambda pair: (-pair[1].total(), pair[0]))

    def missed(self, most: Share) -> str | None:
        """How many more instances changed than may; None where no more did."""
        before = self.instances["before"].total()
        if not most.is_exceeded(self.changed_instances, before):
            return None
        return (
            f"--max-changed {most} is missed: {self.changed_instances} of {before} instances "
            "changed"
        )

    def to_json(self) -> dict[str, Any]:
        totals = {when: counts.total() for when, counts in self.instances.items()}
        kinds = {str(kind): counts.total() for kind, counts in self.kinds.items()}
        return {
            "before": self.before,
            "after": self.after,
            "images": {
                "before": self.images["before"],
                "after": self.images["after"],
                "added": self.added,
                "removed": self.removed,
                "renamed": [{"before": old, "after": new} for old, new in self.renamed],
                "with_other_texts": self.images["with_other_texts"],
            },
            "instances": {**totals, **kinds, "on_added_images": self.on_added},
            "changed_instances": self.changed_instances,
            "changed_share": self.changed_share,
            "classes": {name: self._of_class(name) for name in self.classes},
            "relabelled": [
                {"before": old, "after": new, "instances": count}
                for (old, new), count in self.relabelled.most_common()
            ],
            "changed_images": [
                {"key": key, **{str(kind): counts[kind] for kind in Kind}}
                for key, counts in self.most_changed()
            ],
        }

    def _of_class(self, name: str) -> dict[str, int]:
        totals = {when: counts[name] for when, counts in self.instances.items()}
        return totals | {str(kind): counts[name] for kind, counts in self.kinds.items()}

    def add(
        self, before: AnnotatedImage | Kept | None, after: AnnotatedImage | Kept | None
    ) -> None:
        """Count an image as the sides have it; None: not at all."""
        was = None if before is None else Kept.of(before)
        now = None if after is None else Kept.of(after)
        for when, kept in (("before", was), ("after", now)):
            if kept is not None:
                self.images[when] += 1
                self.instances[when].update([thing.class_name for thing in kept.things])
        if was is None:
            assert now is not None
            self.added.append(now.key)
            self.on_added += len(now.things)
            return
        if now is None:
            self.removed.append(was.key)
            self._count(was.key, changes(was.things, ()))
            return
        if was.key != now.key:
            self.renamed.append((was.key, now.key))
        self.images["with_other_texts"] += was.texts != now.texts
        self._count(was.key, changes(was.things, now.things))

    def _count(self, key: str, found: Iterable[Change]) -> None:
        counts: Counter[Kind] = Counter()
        for change in found:
            counts[change.kind] += 1
            self.kinds[change.kind][change.class_name] += 1
            if change.becomes is not None:
                self.relabelled[change.class_name, change.becomes] += 1
        if counts:
            self.changed.append((key, counts))
