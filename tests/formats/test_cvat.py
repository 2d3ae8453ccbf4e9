"""CVAT, held to its published schema: datumaro needs OpenVINO."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from read_back import annotated_images, assert_same, objects_of

import florence_annotate


def test_cvat_xml_has_the_structure_of_images_1_1_and_the_same_boxes(exported: Path) -> None:
    images, names = annotated_images(exported), florence_annotate.open_dataset(exported).class_names
    root = ElementTree.parse(exported / "annotations.xml").getroot()
    assert root.tag == "annotations"
    assert root.findtext("version") == "1.1"
    assert tuple(e.text for e in root.iterfind("meta/project/labels/label/name")) == names
    labels = json.loads((exported / "cvat" / "labels.json").read_text())
    assert tuple(label["name"] for label in labels) == names
    rows = root.findall("image")
    assert [row.get("id") for row in rows] == [str(number) for number in range(20)]
    for row in rows:
        image = images[str(row.get("name"))]
        assert (row.get("width"), row.get("height")) == (str(image.width), str(image.height))
        assert (exported / "images" / str(row.get("subset")) / str(row.get("name"))).is_file()
        found = []
        for box, one in zip(row, image.instances, strict=True):
            assert box.tag == "box"
            edges = tuple(float(box.attrib[edge]) for edge in ("xtl", "ytl", "xbr", "ybr"))
            found.append((names.index(box.attrib["label"]), edges))
            assert float(box.findtext("attribute[@name='score']") or "") == pytest.approx(
                one.score, abs=1e-4
            )
        assert_same(sorted(found), objects_of(image), 1e-3)
