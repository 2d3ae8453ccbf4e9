"""LabelMe: `labelme/<split>/<name>.json`, a file an image of `images/<split>/`.

Format: https://github.com/wkentaro/labelme/blob/main/labelme/_label_file.py. An object is one
`rectangle`, or one `polygon` where it has an outline, in float pixels; what is printed there is its
`description`. Beyond the format it carries its `score`, which LabelMe keeps when it saves.
"""

from typing import Any

from florence_annotate.dataset.dataset import Dataset
from florence_annotate.formats.entries import Entry, Export, dump_json
from florence_annotate.geometry.polygons import outline_of
from florence_annotate.types import KeptInstance

_VERSION = "5.5.0"
"""Of LabelMe, whose files these are like; its readers take any."""


class LabelMeWriter:
    """A file an image."""

    def __init__(self, export: Export) -> None:
        self._staging = export.staging

    def begin(self, dataset: Dataset) -> None:
        pass

    def add(self, entry: Entry) -> None:
        path = f"labelme/{entry.split}/{entry.stem}.json"
        up = "../" * path.count("/")
        link = f"{up}images/{entry.split}/{entry.name}"
        self._staging.write_text(path, dump_json(_document(entry, link)) + "\n")

    def finish(self) -> None:
        pass


def _document(entry: Entry, image_path: str) -> dict[str, Any]:
    image = entry.image
    return {
        "version": _VERSION,
        "flags": {},
        "shapes": [_shape(one, image.class_names) for one in image.instances],
        "imagePath": image_path,
        "imageData": None,
        "imageHeight": image.height,
        "imageWidth": image.width,
    }


def _shape(instance: KeptInstance, class_names: tuple[str, ...]) -> dict[str, Any]:
    x1, y1, x2, y2 = instance.box
    outline = outline_of(instance)
    return {
        "label": class_names[instance.class_id],
        "points": [[round(x, 4), round(y, 4)] for x, y in outline or ((x1, y1), (x2, y2))],
        "group_id": None,
        "description": instance.text or "",
        "shape_type": "polygon" if outline else "rectangle",
        "flags": {},
        "score": round(instance.score, 4),
    }
