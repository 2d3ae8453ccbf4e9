"""The ground truth: files of labels in COCO, YOLO or Pascal VOC, and their masks in pixels."""

from collections.abc import Mapping
from pathlib import Path

from hotcoco import mask as masks

from florence_annotate.errors import UsageError
from florence_annotate.evaluation.boxes import Mask
from florence_annotate.labels.coco import read_coco
from florence_annotate.labels.given import GivenLabels, GivenObject, read_as
from florence_annotate.labels.voc import read_voc, voc_files
from florence_annotate.labels.yolo import DATA, label_folders, read_yolo

_GIVE = (
    "give a COCO file with images, annotations and categories, a YOLO folder with data.yaml and "
    "labels/, or a folder of Pascal VOC's XML files"
)


def read_truth(source: Path, *, with_masks: bool) -> GivenLabels:
    """What is true of images. Raises UsageError for what can't be read, or has no image, no class
    or an object without one."""
    with read_as("ground truth", source, _GIVE):
        truth = _read(source, with_masks=with_masks)
        if not truth.images:
            raise ValueError("it names no image")
        for image in truth.images:
            if any(one.region.label is None for one in image.objects):
                raise ValueError(f"an object on {image.name} has no class")
        if not truth.classes:
            raise ValueError("it has no class")
    return truth


def _read(source: Path, *, with_masks: bool) -> GivenLabels:
    if not source.is_dir():
        return read_coco(source, with_masks=with_masks)
    if (source / DATA).exists():
        return read_yolo(source)
    if voc_files(source):
        return read_voc(source)
    if label_folders(source):
        raise ValueError(f"labels/ has no {DATA} beside it, which names the classes")
    raise ValueError("the folder holds neither labels/ nor XML files")


def mask_of(given: GivenObject, size: tuple[int, int], image: str) -> Mask | None:
    """The mask of an object on an image of a width and a height in pixels; None without one.

    Of a crowd without a mask it is its box. Raises UsageError for a mask of an image of another
    size, and for one that can't be read.
    """
    width, height = size
    if given.mask is None:
        if not given.is_crowd:
            return None
        x1, y1, x2, y2 = given.region.pixels(width, height)
        return masks.fr_bbox([x1, y1, x2 - x1, y2 - y1], height, width)
    if isinstance(given.mask, Mapping):
        if list(given.mask["size"]) != [height, width]:
            said = "x".join(map(str, reversed(given.mask["size"])))
            raise UsageError(
                f"the ground truth has a mask of {said} pixels on {image}, which is "
                f"{width}x{height}: give the ground truth of these images, or evaluate boxes"
            )
        try:
            return masks.frPyObjects(dict(given.mask), height, width)
        except ValueError as error:
            raise UsageError(
                f"the ground truth has a mask on {image} that can't be read ({error}): give COCO's "
                "run lengths or polygons, or evaluate boxes"
            ) from error
    scale = (width, height) if given.region.is_relative else (1, 1)
    parts = [[value * scale[place % 2] for place, value in enumerate(part)] for part in given.mask]
    return masks.merge(masks.frPyObjects(parts, height, width))
