"""Labels in Pascal VOC's files, one an image.

Format: http://host.robots.ox.ac.uk/pascal/VOC/voc2012/devkit_doc.pdf, "Annotation". Pixels count
from 1 and the last one is included, so that `xmin` of 11 and `xmax` of 20 are the edges 10 and 20.
Outlines (`polygon`, beyond the format) are spelled as supervision reads them.
"""

import math
from pathlib import Path
from typing import Any

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from florence_annotate.labels.given import (
    GivenImage,
    GivenLabels,
    GivenObject,
    Region,
    checked_name,
    files_below,
    small_text,
)


def voc_files(folder: Path) -> list[Path]:
    """The XML files of a folder and those below it, in order. Raises OSError for what can't be
    listed."""
    return files_below(folder, ".xml")


def read_voc(folder: Path) -> GivenLabels:
    """The objects of all XML files below a folder, by the files' paths without their ending.

    What is marked as difficult counts as COCO's crowds do. Raises UnreadableFileError, OSError or
    ValueError for what is none.
    """
    images = []
    for file in voc_files(folder):
        try:
            images.append(_image(file, folder))
        except (ParseError, DefusedXmlException, ValueError, RecursionError) as error:
            why = str(error) or type(error).__name__
            raise ValueError(f"{file}: it is no Pascal VOC: {why}") from error
    labels = dict.fromkeys(one.region.label or "" for image in images for one in image.objects)
    return GivenLabels(folder, tuple(images), tuple(labels), False)


def _image(file: Path, folder: Path) -> GivenImage:
    # as bytes it would go by the coding that it declares, which may be any
    text = small_text(file).partition("?>")
    root = fromstring(text[2] if text[0].lstrip().startswith("<?xml") else "".join(text))
    if root.tag != "annotation":
        raise ValueError(f"its root is {root.tag!r}, not annotation")
    width, height = (_number(root, f"size/{side}", 0) for side in ("width", "height"))
    return GivenImage(
        file.relative_to(folder).with_suffix("").as_posix(),
        tuple(_object(one) for one in root.findall("object")),
        (int(width), int(height)) if width > 0 and height > 0 else None,
    )


def _object(element: Any) -> GivenObject:
    x1, y1, x2, y2 = (_number(element, f"bndbox/{edge}") for edge in _EDGES)
    label = checked_name(element.findtext("name") or "")
    points: list[float] = []
    while element.find(f"polygon/x{len(points) // 2 + 1}") is not None:
        number = len(points) // 2 + 1
        points += [_number(element, f"polygon/{axis}{number}") - 1 for axis in "xy"]
    return GivenObject(
        Region.of((x1 - 1, y1 - 1, x2, y2), label),
        is_crowd=_number(element, "difficult", 0) != 0,
        mask=(tuple(points),) if len(points) >= 6 else None,
    )


_EDGES = ("xmin", "ymin", "xmax", "ymax")


def _number(element: Any, path: str, default: float | None = None) -> float:
    text = element.findtext(path)
    if text is None or not text.strip():
        if default is None:
            raise ValueError(f"an object has no {path}")
        return default
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{path} is {text.strip()!r}")
    return number
