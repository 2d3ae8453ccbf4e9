"""What an export wrote, and of what."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from florence_annotate.dataset.statistics import Statistics
from florence_annotate.formats.entries import Notes
from florence_annotate.formats.holding import BY_HAND


@dataclass(frozen=True, slots=True)
class Outcome:
    """An export that is in its place."""

    formats: tuple[str, ...]
    class_names: tuple[str, ...]
    statistics: Statistics
    notes: Notes
    files: Callable[[], Iterator[tuple[str, str]]] = field(compare=False)
    """Path in the output folder and SHA-256, or the goal of a link, in the order of paths; read
    from the journal, while that is open."""

    @property
    def unwritten(self) -> list[str]:
        """Paths of files that could not be written."""
        return [path for path, why in self.notes.held.items() if why not in BY_HAND]

    def to_json(self) -> dict[str, Any]:
        """All but the files, as JSON values, in the order in which they were counted."""
        statistics = {
            one.name: list(value.items()) if isinstance(value, Counter) else value
            for one in fields(self.statistics)
            for value in [getattr(self.statistics, one.name)]
        }
        return {
            "formats": self.formats,
            "class_names": self.class_names,
            "statistics": statistics,
            "notes": asdict(self.notes),
        }

    @classmethod
    def from_json(
        cls, values: dict[str, Any], files: Callable[[], Iterator[tuple[str, str]]]
    ) -> "Outcome":
        """What `to_json` gave, with the files."""
        empty = Statistics()
        statistics: dict[str, Any] = {
            name: Counter(dict(value)) if isinstance(getattr(empty, name), Counter) else value
            for name, value in values["statistics"].items()
        }
        return cls(
            tuple(values["formats"]),
            tuple(values["class_names"]),
            Statistics(**statistics),
            # what changed did so when it was written
            Notes(**values["notes"] | {"moved": 0, "renumbered": False}),
            files,
        )
