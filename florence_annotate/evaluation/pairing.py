"""Which image of the ground truth is which image of the job."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from florence_annotate.errors import UsageError
from florence_annotate.evaluation.wording import listed
from florence_annotate.labels.given import GivenImage, GivenLabels


@dataclass(frozen=True, slots=True)
class JobImage:
    """An image of the job, by what it is called."""

    key: str
    export_name: str | None = None
    """Relative to the split's folder; None before its first export."""
    split: str = ""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Images that both sides have, and those of one alone."""

    truth_of: dict[str, GivenImage]
    """By the image's key in the job."""
    only_job: list[str]
    """Keys."""
    only_truth: list[str]
    """Names."""


def pair(images: Sequence[JobImage], truth: GivenLabels) -> Pairs:
    """Match images by key, then by export name, then by the end of their paths, the longest first.

    A name that several images of one side have decides nothing. Raises UsageError where no image
    matches.
    """
    names = [_spelled(image) for image in truth.images]
    by_key = [[one.key or name] for name, one in zip(names, truth.images, strict=True)]
    by_name = [[name] for name in names]
    keys = [[_bare(image.key, truth)] for image in images]
    exported = [_exported(image, truth) for image in images]
    found: dict[int, int] = {}
    _match(keys, by_key, found)
    _match(exported, by_name, found)
    deepest = min(_depth(names), _depth(image.key for image in images))
    for length in range(deepest + 1, 0, -1):
        _match(
            [list(_ends(spelled, length)) for spelled in zip(keys, exported, strict=True)],
            [list(_ends([own], length)) for own in by_name],
            found,
        )
    if not found:
        raise UsageError(_none_matches(images, truth))
    taken = set(found.values())
    return Pairs(
        {images[mine].key: truth.images[theirs] for mine, theirs in sorted(found.items())},
        [image.key for place, image in enumerate(images) if place not in found],
        [image.name for place, image in enumerate(truth.images) if place not in taken],
    )


def _depth(names: Iterable[str]) -> int:
    """The most folders in a path."""
    return max((name.count("/") for name in names), default=0)


def _match(
    ours: Sequence[Sequence[str]], theirs: Sequence[Sequence[str]], found: dict[int, int]
) -> None:
    """Add the pairs of places that one name alone stands for on both sides."""
    places = _places(theirs)
    taken = set(found.values())
    for name, mine in _places(ours).items():
        other = places.get(name)
        if mine is None or other is None or mine in found or other in taken:
            continue
        found[mine] = other
        taken.add(other)


def _places(spellings: Sequence[Sequence[str]]) -> dict[str, int | None]:
    """Name → the place of the one that has it; None where several have it."""
    places: dict[str, int | None] = {}
    for place, names in enumerate(spellings):
        for name in names:
            places[name] = place if places.get(name, place) == place else None
    return places


def _ends(spellings: Iterable[Sequence[str]], length: int) -> Iterator[str]:
    """The last so many parts of paths that have as many."""
    for names in spellings:
        for name in names:
            parts = name.split("/")
            if len(parts) >= length:
                yield "/".join(parts[-length:])


def _spelled(image: GivenImage) -> str:
    return str(PurePosixPath(image.name.replace("\\", "/")))


def _exported(image: JobImage, truth: GivenLabels) -> list[str]:
    if image.export_name is None:
        return []
    name = _bare(image.export_name, truth)
    return [name, f"{image.split}/{name}", f"images/{image.split}/{name}"]


def _bare(name: str, truth: GivenLabels) -> str:
    return name if truth.has_suffixes else str(PurePosixPath(name).with_suffix(""))


def _none_matches(images: Sequence[JobImage], truth: GivenLabels) -> str:
    theirs = listed(image.name for image in truth.images)
    ours = listed(image.key for image in images) or "none yet"
    return (
        f"no image of the job is in {truth.source}: its names are {theirs}, those of the job "
        f"{ours}: give the ground truth of these images"
    )
