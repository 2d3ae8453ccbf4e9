"""Pascal VOC: `voc/<split>/<name>.xml`, a file an image of `images/<split>/`.

Format: http://host.robots.ox.ac.uk/pascal/VOC/voc2012/devkit_doc.pdf, "Annotation"; the box is
"xmin, ymin, xmax, ymax" in whole pixels that count from 1, the last one included. So a box from
10.2 to 20.4 covers the pixels 11 to 20: `xmin` is the rounded edge plus one, `xmax` the rounded
edge. supervision's reader undoes just that (`dataset/formats/pascal_voc.py` of 0.31), as do others
that subtract 1 from the minimum alone; one that takes the numbers as they are sees a box that
begins a pixel later. Many readers parse the numbers with `int()`, so the fraction is lost here, and
here alone.

Beyond the format, an object carries its `score` and `text`, which readers ignore, and its outline
as `polygon`, in points that count from 1 too, as supervision reads it.
"""

from florence_annotate.dataset.dataset import Dataset
from florence_annotate.formats import xml
from florence_annotate.formats.entries import Entry, Export
from florence_annotate.geometry.polygons import outline_of
from florence_annotate.types import Box, KeptInstance


class VocWriter:
    """A file an image."""

    def __init__(self, export: Export) -> None:
        self._staging = export.staging

    def begin(self, dataset: Dataset) -> None:
        pass

    def add(self, entry: Entry) -> None:
        path = f"voc/{entry.split}/{entry.stem}.xml"
        self._staging.write_text(path, _document(entry))

    def finish(self) -> None:
        pass


def _document(entry: Entry) -> str:
    image = entry.image
    folder, _, file_name = f"images/{entry.split}/{entry.name}".rpartition("/")
    has_outlines = any(one.polygons for one in image.instances)
    lines = [
        "<annotation>",
        "\t" + xml.element("folder", folder),
        "\t" + xml.element("filename", file_name),
        "\t<source><database>annotated with Florence-2</database></source>",
        f"\t<size><width>{image.width}</width><height>{image.height}</height>"
        "<depth>3</depth></size>",
        f"\t<segmented>{int(has_outlines)}</segmented>",
    ]
    for instance in image.instances:
        lines += _object(instance, image.class_names, (image.width, image.height))
    return xml.DECLARATION + "\n".join([*lines, "</annotation>", ""])


def _object(
    instance: KeptInstance, class_names: tuple[str, ...], size: tuple[int, int]
) -> list[str]:
    xmin, ymin, xmax, ymax = _pixels(instance.box, size)
    lines = [
        "\t<object>",
        "\t\t" + xml.element("name", class_names[instance.class_id]),
        "\t\t<pose>Unspecified</pose>",
        "\t\t<truncated>0</truncated>",
        "\t\t<difficult>0</difficult>",
        f"\t\t<bndbox><xmin>{xmin}</xmin><ymin>{ymin}</ymin>"
        f"<xmax>{xmax}</xmax><ymax>{ymax}</ymax></bndbox>",
        f"\t\t<score>{round(instance.score, 4)}</score>",
    ]
    if instance.text is not None:
        lines.append("\t\t" + xml.element("text", instance.text))
    if outline := outline_of(instance):
        points = "".join(
            xml.element(f"x{number}", round(x + 1, 4)) + xml.element(f"y{number}", round(y + 1, 4))
            for number, (x, y) in enumerate(outline, start=1)
        )
        lines.append(f"\t\t<polygon>{points}</polygon>")
    return [*lines, "\t</object>"]


def _pixels(box: Box, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The first and the last pixels that a box covers, one at least, counted from 1."""
    (x1, y1, x2, y2), (width, height) = box, size
    xmin, ymin = min(round(x1) + 1, width), min(round(y1) + 1, height)
    return xmin, ymin, max(round(x2), xmin), max(round(y2), ymin)
