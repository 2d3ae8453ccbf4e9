"""CVAT for images 1.1: `annotations.xml` beside `images/`, and `cvat/labels.json`, the labels to
make a project or a task with.

Format: https://docs.cvat.ai/docs/other/xml_format, "Annotation"; that the splits are the subsets of
a project, with their images in `images/<subset>/`, is how CVAT writes projects
(`cvat/apps/dataset_manager/formats/cvat.py`) and datumaro reads them. An object is a `box`, or a
`polygon` where it has an outline, in float pixels, with `score` and `text` as attributes. CVAT
takes only labels and attributes that it knows, so `labels.json` is for the "Raw" tab of its label
editor.
"""

from collections.abc import Sequence
from typing import Any

from florence_annotate.dataset.dataset import Dataset
from florence_annotate.formats import xml
from florence_annotate.formats.entries import Entry, Export, dump_json
from florence_annotate.formats.staging import StagedFile
from florence_annotate.geometry.polygons import outline_of
from florence_annotate.types import KeptInstance

_ATTRIBUTES = ("score", "text")


class CvatWriter:
    """All images in one file, numbered from 0."""

    _file: StagedFile

    def __init__(self, export: Export) -> None:
        self._staging = export.staging
        self._images = 0

    def begin(self, dataset: Dataset) -> None:
        names = dataset.class_names
        labels = ",\n".join(dump_json(_label(name)) for name in names)
        self._staging.write_text("cvat/labels.json", f"[\n{labels}\n]\n")
        self._file = self._staging.open("annotations.xml")
        self._file.write_text(_head(dataset.split_names, names))

    def add(self, entry: Entry) -> None:
        self._file.write_text(_image(entry, self._images))
        self._images += 1

    def finish(self) -> None:
        self._file.write_text("</annotations>\n")


def _label(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "attributes": [
            {
                "name": attribute,
                "mutable": False,
                "input_type": "text",
                "default_value": "",
                "values": [""],
            }
            for attribute in _ATTRIBUTES
        ],
    }


def _head(splits: Sequence[str], class_names: Sequence[str]) -> str:
    attributes = "".join(
        f"<attribute><name>{name}</name><mutable>False</mutable><input_type>text</input_type>"
        "<default_value></default_value><values></values></attribute>"
        for name in _ATTRIBUTES
    )
    lines = [
        "<annotations>",
        "<version>1.1</version>",
        "<meta>",
        "<project>",
        "<subsets>",
        *(xml.element("subset", split) for split in splits),
        "</subsets>",
        "<labels>",
        *(
            f"<label>{xml.element('name', name)}<attributes>{attributes}</attributes></label>"
            for name in class_names
        ),
        "</labels>",
        "</project>",
        "</meta>",
        "",
    ]
    return xml.DECLARATION + "\n".join(lines)


def _image(entry: Entry, number: int) -> str:
    image = entry.image
    about = {
        "id": number,
        "name": entry.name,
        "subset": entry.split,
        "width": image.width,
        "height": image.height,
    }
    shapes = [_shape(one, image.class_names[one.class_id]) for one in image.instances]
    return "\n".join([f"<image{xml.attributes(about)}>", *shapes, "</image>", ""])


def _shape(instance: KeptInstance, label: str) -> str:
    tag, position = _position(instance)
    about = f'label={xml.quoted(label)} source="auto" occluded="0" {position} z_order="0"'
    values = [("score", f"{instance.score:.4f}")]
    if instance.text is not None:
        values.append(("text", instance.text))
    attributes = "".join(
        f'<attribute name="{name}">{xml.text(value)}</attribute>' for name, value in values
    )
    return f"<{tag} {about}>{attributes}</{tag}>"


def _position(instance: KeptInstance) -> tuple[str, str]:
    """The element of an instance, and the attributes that say where it is."""
    if outline := outline_of(instance):
        points = ";".join([f"{x:.4f},{y:.4f}" for x, y in outline])
        return "polygon", f'points="{points}"'
    x1, y1, x2, y2 = instance.box
    return "box", f'xtl="{x1:.4f}" ytl="{y1:.4f}" xbr="{x2:.4f}" ybr="{y2:.4f}"'
