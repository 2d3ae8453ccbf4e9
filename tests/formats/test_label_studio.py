"""Label Studio, held to its published schemas: label-studio-sdk needs an older OpenCV."""

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

from PIL import Image
from read_back import annotated_images, assert_same, objects_of

import florence_annotate


def test_label_studio_tasks_have_the_published_schema_and_the_same_boxes(exported: Path) -> None:
    images = annotated_images(exported)
    names = florence_annotate.open_dataset(exported).class_names
    tasks = json.loads((exported / "label-studio" / "tasks.json").read_text())
    assert [task["id"] for task in tasks] == list(range(1, 21))
    for task in tasks:
        path = parse_qs(urlsplit(task["data"]["image"]).query)["d"][0]
        image = images[task["data"]["key"]]
        with Image.open(exported / path) as opened:
            assert opened.size == (image.width, image.height)
        (prediction,) = task["predictions"]
        found = []
        for result in prediction["result"]:
            assert (result["from_name"], result["type"]) == ("box", "rectanglelabels")
            assert (result["original_width"], result["original_height"]) == opened.size
            value = result["value"]
            x, y = value["x"] / 100 * image.width, value["y"] / 100 * image.height
            right = x + value["width"] / 100 * image.width
            bottom = y + value["height"] / 100 * image.height
            (label,) = value["rectanglelabels"]
            found.append((names.index(label), (x, y, right, bottom)))
        assert_same(sorted(found), objects_of(image), 1e-3)
        assert len({result["id"] for result in prediction["result"]}) == len(found)


def test_the_interface_of_label_studio_knows_every_control_and_class(exported: Path) -> None:
    config = ElementTree.parse(exported / "label-studio" / "config.xml").getroot()
    controls = {element.get("name"): element for element in config if element.tag != "Image"}
    assert set(controls) == {"box", "outline", "text", "caption"}
    names = florence_annotate.open_dataset(exported).class_names
    for name in ("box", "outline"):
        assert tuple(label.get("value") for label in controls[name]) == names
