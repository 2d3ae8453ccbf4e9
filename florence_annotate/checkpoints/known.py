"""The public checkpoints, and the one in this package."""

from dataclasses import dataclass

SHAPES = "shapes"


@dataclass(frozen=True, slots=True)
class KnownCheckpoint:
    """What is known of a checkpoint before it is fetched."""

    repository: str
    """Its repository on the hub, in the native layout; empty for the one in this package."""
    original: str
    """The repository that it was converted from, in the original layout."""
    parameters: int
    licence: str
    about: str

    def memory(self, bytes_a_number: int) -> int:
        """Bytes that its weights take, with so many bytes for each number."""
        return self.parameters * bytes_a_number


def _public(size: str, parameters: int, about: str) -> KnownCheckpoint:
    community, original = f"florence-community/Florence-2-{size}", f"microsoft/Florence-2-{size}"
    return KnownCheckpoint(community, original, parameters, "MIT", about)


KNOWN: dict[str, KnownCheckpoint] = {
    "base": _public("base", 231_000_000, "pretrained"),
    "large": _public("large", 777_000_000, "pretrained"),
    "base-ft": _public("base-ft", 231_000_000, "fine-tuned on many tasks; the default"),
    "large-ft": _public("large-ft", 777_000_000, "fine-tuned on many tasks"),
    SHAPES: KnownCheckpoint("", "", 3_100_000, "MIT", "painted shapes only: for trying and tests"),
}
"""By short name. Sizes are those of the model cards (0.23B and 0.77B) and of transformers."""

ORIGINALS = frozenset(known.original for known in KNOWN.values() if known.original)


def hub_id(name: str) -> str:
    """The hub id of a short name (`base-ft`, `florence-2-base-ft`); other names as they are."""
    known = KNOWN.get(name.lower().removeprefix("florence-2-"))
    return known.repository if known and known.repository else name
