"""Boxes that users give to ask about: those of a COCO file, or of a folder of YOLO labels."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from florence_annotate.labels.by_name import ByName, paths_of
from florence_annotate.labels.coco import read_coco
from florence_annotate.labels.given import GivenLabels, Region, read_as
from florence_annotate.labels.yolo import read_yolo
from florence_annotate.types import ImageRef

RegionsOf = Callable[[ImageRef], Sequence[Region]]
"""Looks up the given regions of an image; none where it has none."""


def read_regions(source: Path) -> ByName[Sequence[Region]]:
    """The boxes of a COCO file, or of a folder of YOLO labels with its data.yaml.

    Raises UsageError for anything else, and where there is no box at all.
    """
    give = (
        "give a COCO file with images, annotations and categories, or a YOLO folder with data.yaml "
        "and boxes in labels/"
    )
    with read_as("regions", source, give):
        if source.is_dir():
            return _of_yolo(read_yolo(source))
        regions = _regions(read_coco(source))
        return ByName(regions, (), source, aliases=paths_of(regions, source))


def _regions(given: GivenLabels) -> Mapping[str, Sequence[Region]]:
    regions: dict[str, list[Region]] = {}
    for image in given.images:
        if not given.has_suffixes and any(one.mask is not None for one in image.objects):
            raise ValueError(f"{image.name} has outlines: boxes are class cx cy width height")
        regions.setdefault(image.name, []).extend(one.region for one in image.objects)
    if not any(regions.values()):
        raise ValueError("it holds no box")
    return regions


def _of_yolo(given: GivenLabels) -> ByName[Sequence[Region]]:
    """Where the images of one split alone are annotated, the key of `<split>/…/name` is `…/name`:
    that is an alias of the name if no other split has it."""
    regions = _regions(given)
    in_split: dict[str, list[str]] = {}
    for name in regions:
        _, slash, rest = name.partition("/")
        if slash:
            in_split.setdefault(rest, []).append(name)
    return ByName(
        regions,
        (),
        given.source,
        has_suffixes=False,
        aliases={name: paths[0] for name, paths in in_split.items() if len(paths) == 1},
        doubtful=frozenset(name for name, paths in in_split.items() if len(paths) > 1),
    )
