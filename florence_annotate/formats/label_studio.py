"""Label Studio: `label-studio/tasks.json`, pre-annotations of all images, and `config.xml`, the
labelling interface that shows them.

Format: https://labelstud.io/guide/predictions, https://labelstud.io/guide/task_format. Positions
are percentages of the image's sides. An object is a rectangle, or a polygon where it has an
outline; what is printed there is a text area of the same region; captions are a text area of the
image, or one for each task where several give a caption.

Images are named as Label Studio's storage of local files names them
(https://labelstud.io/guide/storage#Local-storage), with the output folder as its document root.
"""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from florence_annotate.dataset.dataset import Dataset
from florence_annotate.formats import xml
from florence_annotate.formats.entries import Entry, Export, dump_json
from florence_annotate.formats.staging import StagedFile
from florence_annotate.geometry.polygons import outline_of
from florence_annotate.types import KeptInstance

_CAPTION = "caption"
"""The text area of all captions, where they have none of their own."""


class LabelStudioWriter:
    """All images in one file, numbered from 1."""

    _file: StagedFile

    def __init__(self, export: Export) -> None:
        self._staging, self._fields = export.staging, export.caption_fields
        self._images = 0

    def begin(self, dataset: Dataset) -> None:
        interface = _interface(dataset.class_names, self._fields)
        self._staging.write_text("label-studio/config.xml", interface)
        self._file = self._staging.open("label-studio/tasks.json")
        self._file.write_text("[")

    def add(self, entry: Entry) -> None:
        self._images += 1
        begin = "\n" if self._images == 1 else ",\n"
        self._file.write_text(begin + dump_json(_task(self._images, entry, self._fields)))

    def finish(self) -> None:
        self._file.write_text("\n]\n")


def _task(number: int, entry: Entry, fields: Sequence[str]) -> dict[str, Any]:
    image = entry.image
    path = quote(f"images/{entry.split}/{entry.name}")
    result = [*_regions(entry), *_captions(entry, fields)]
    prediction: dict[str, Any] = {"model_version": "Florence-2", "result": result}
    if image.instances:
        # what Label Studio sorts tasks by: the doubtful ones can come first
        score = sum(one.score for one in image.instances) / len(image.instances)
        prediction["score"] = round(score, 4)
    return {
        "id": number,
        "data": {
            "image": f"/data/local-files/?d={path}",
            "key": image.ref.key,
            "split": entry.split,
        },
        "predictions": [prediction],
    }


def _regions(entry: Entry) -> Iterator[dict[str, Any]]:
    image = entry.image
    size = image.width, image.height
    for number, instance in enumerate(image.instances, start=1):
        region = {
            "id": f"region-{number}",
            "to_name": "image",
            "original_width": image.width,
            "original_height": image.height,
            "image_rotation": 0,
            "score": round(instance.score, 4),
        }
        control, kind, position = _position(instance, size)
        label = {kind: [image.class_names[instance.class_id]]}
        yield {**region, "from_name": control, "type": kind, "value": {**position, **label}}
        if instance.text is not None:
            value = {**position, "text": [instance.text]}
            yield {**region, "from_name": "text", "type": "textarea", "value": value}


def _captions(entry: Entry, fields: Sequence[str]) -> Iterator[dict[str, Any]]:
    texts = {name: [text] for name, text in entry.texts_of(fields).items()}
    if not fields and entry.image.captions:
        texts = {_CAPTION: [caption.text for caption in entry.image.captions]}
    for name, said in texts.items():
        yield {
            "id": name,
            "from_name": name,
            "to_name": "image",
            "type": "textarea",
            "value": {"text": said},
        }


def _position(instance: KeptInstance, size: tuple[int, int]) -> tuple[str, str, dict[str, Any]]:
    """The control of the interface that shows an instance, its type, and where it is."""

    def percent(x: float, y: float) -> list[float]:
        return [round(100 * x / size[0], 6), round(100 * y / size[1], 6)]

    if outline := outline_of(instance):
        points = [percent(x, y) for x, y in outline]
        return "outline", "polygonlabels", {"points": points, "closed": True}
    x1, y1, x2, y2 = instance.box
    (x, y), (width, height) = percent(x1, y1), percent(x2 - x1, y2 - y1)
    position = {"x": x, "y": y, "width": width, "height": height, "rotation": 0}
    return "box", "rectanglelabels", position


def _interface(class_names: Sequence[str], fields: Sequence[str]) -> str:
    lines = ["<View>", '  <Image name="image" value="$image"/>']
    if class_names:
        labels = [f"    <Label{xml.attributes({'value': name})}/>" for name in class_names]
        for tag, name in (("RectangleLabels", "box"), ("PolygonLabels", "outline")):
            lines += [f'  <{tag} name="{name}" toName="image">', *labels, f"  </{tag}>"]
        lines.append('  <TextArea name="text" toName="image" perRegion="true" editable="true"/>')
    for name in fields or [_CAPTION]:
        if fields:
            lines.append(f"  <Header{xml.attributes({'value': name})}/>")
        lines.append(f'  <TextArea name="{name}" toName="image" editable="true"/>')
    return "\n".join([*lines, "</View>", ""])
