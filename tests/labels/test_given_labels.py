"""What files of labels say beyond boxes: outlines, crowds, sizes; and the layouts of folders."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import command

from florence_annotate.labels.coco import read_coco
from florence_annotate.labels.voc import read_voc
from florence_annotate.labels.yolo import read_yolo


def coco(folder: Path, **values: Any) -> Path:
    annotation = {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], **values}
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 10, "height": 8, "key": "k"}],
        "annotations": [annotation],
        "categories": [{"id": 1, "name": "cat"}, {"id": 5, "name": "dog"}],
    }
    (folder / "coco.json").write_text(json.dumps(content))
    return folder / "coco.json"


class TestCoco:
    def test_an_object_with_all_that_can_be_said(self, tmp_path: Path) -> None:
        square = [1, 2, 4, 2, 4, 6]
        file = coco(tmp_path, iscrowd=1, area=7.5, segmentation=[square])
        given = read_coco(file, with_masks=True)
        (image,) = given.images
        (one,) = image.objects
        assert (image.name, image.key, image.size) == ("a.jpg", "k", (10, 8))
        assert one.region.box == (1, 2, 4, 6) and one.is_crowd and one.area == 7.5
        assert one.mask == (tuple(square),)
        assert given.classes == ("cat", "dog")
        assert read_coco(file).images[0].objects[0].mask is None

    def test_run_lengths_fill_their_image(self, tmp_path: Path) -> None:
        runs = {"size": [8, 10], "counts": [10, 20, 50]}
        file = coco(tmp_path, segmentation=runs)
        assert read_coco(file, with_masks=True).images[0].objects[0].mask == runs
        file = coco(tmp_path, segmentation={"size": [8, 10], "counts": [10, 20]})
        with pytest.raises(ValueError, match="do not fill its 10x8 pixels"):
            read_coco(file, with_masks=True)

    @pytest.mark.parametrize("part", [[1, 2, 3, 4], [1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5, "x"]])
    def test_what_is_no_outline_is_refused(self, part: list[Any], tmp_path: Path) -> None:
        with pytest.raises(ValueError):
            read_coco(coco(tmp_path, segmentation=[part]), with_masks=True)

    @pytest.mark.parametrize(
        ("values", "why"),
        [
            ({"bbox": None}, "bbox None is not x, y, width and height"),
            ({"bbox": [1, 2, 3]}, r"bbox \[1, 2, 3\] is not x, y, width and height"),
            ({"bbox": [1, 2, -3, 4]}, "ends before it begins"),
            ({"category_id": 9}, "class 9, which has no name"),
            ({"image_id": 9}, "image 9, which is not in images"),
            ({"segmentation": [[1, 2]]}, "is no outline"),
            ({"segmentation": {"size": [1, 2]}}, "it has no 'counts'"),
        ],
    )
    def test_the_annotation_that_is_none_is_named(
        self, values: dict[str, Any], why: str, tmp_path: Path
    ) -> None:
        with pytest.raises(ValueError, match=f"^annotation 17: .*{why}"):
            read_coco(coco(tmp_path, id=17, **values), with_masks=True)


class TestYolo:
    @pytest.mark.parametrize(
        ("row", "why"),
        [
            ("0 0.5 0.5 0.1", "it is no box, class cx cy width height"),
            ("a 0.5 0.5 0.1 0.1", "it is no box, class cx cy width height"),
            ("0 0.5 0.5 b 0.1", "it is no box, class cx cy width height"),
            ("7 0.5 0.5 0.1 0.1", "class 7, which has no name"),
            ("0 1 1 20 0.1", "are parts of the image's sides"),
        ],
    )
    def test_the_file_and_the_row_that_are_none_are_named(
        self, row: str, why: str, tmp_path: Path
    ) -> None:
        (tmp_path / "labels").mkdir()
        (tmp_path / "data.yaml").write_text("names: [cat]")
        (tmp_path / "labels" / "a.txt").write_text(f"0 0.5 0.5 0.1 0.1\n{row}\n")
        with pytest.raises(ValueError, match=f"^{tmp_path}/labels/a.txt: '{row}': .*{why}"):
            read_yolo(tmp_path)

    def test_labels_are_needed(self, tmp_path: Path) -> None:
        (tmp_path / "data.yaml").write_text("names: [cat]")
        with pytest.raises(ValueError, match=r"data\.yaml has no folder labels beside it"):
            read_yolo(tmp_path)

    def test_outlines(self, tmp_path: Path) -> None:
        (tmp_path / "labels" / "train").mkdir(parents=True)
        (tmp_path / "data.yaml").write_text("names: {0: cat, 3: dog}")
        (tmp_path / "labels" / "train" / "a.txt").write_text("3 0.1 0.2 0.5 0.2 0.5 0.9\n")
        (tmp_path / "labels" / "train" / "b.txt").write_text("")
        given = read_yolo(tmp_path)
        assert [image.name for image in given.images] == ["train/a", "train/b"]
        (one,) = given.images[0].objects
        assert one.region.label == "dog" and one.region.box == (0.1, 0.2, 0.5, 0.9)
        assert one.mask == ((0.1, 0.2, 0.5, 0.2, 0.5, 0.9),)
        assert not given.images[1].objects and given.classes == ("cat", "dog")

    def test_a_folder_for_each_split_with_labels_in_it(self, tmp_path: Path) -> None:
        for split in ("train", "valid"):
            (tmp_path / split / "labels" / "night").mkdir(parents=True)
            (tmp_path / split / "labels" / "night" / "1.txt").write_text("0 0.5 0.5 0.1 0.1")
        (tmp_path / "data.yaml").write_text("names: [cat]")
        names = [image.name for image in read_yolo(tmp_path).images]
        assert names == ["train/night/1", "valid/night/1"]

    def test_names_are_needed(self, tmp_path: Path) -> None:
        (tmp_path / "data.yaml").write_text("nc: 3")
        with pytest.raises(ValueError, match=r"data\.yaml has no names"):
            read_yolo(tmp_path)


VOC = """<?xml version="1.0" encoding="latin-1"?>
<annotation><filename>x.jpg</filename><size><width>100</width><height>80</height></size>
<object><name>Katze größer</name><difficult>1</difficult><part><name>head</name></part>
<bndbox><xmin>11</xmin><ymin>21.0</ymin><xmax>20</xmax><ymax>40</ymax></bndbox></object>
</annotation>"""


class TestVoc:
    def test_pixels_count_from_one_and_what_is_difficult_is_a_crowd(self, tmp_path: Path) -> None:
        (tmp_path / "train").mkdir()
        (tmp_path / "train" / "a.xml").write_text(VOC, "utf-8")
        (image,) = read_voc(tmp_path).images
        (one,) = image.objects
        assert (image.name, image.size) == ("train/a", (100, 80))
        assert one.region.box == (10, 20, 20, 40) and one.is_crowd
        assert one.region.label == "Katze größer"

    def test_what_this_program_writes(self, dataset: Path, tmp_path: Path) -> None:
        out = tmp_path / "voc"
        assert command("export", dataset, "-o", out, "--format", "voc", "-q").code == 0
        given = read_voc(out / "voc")
        assert len(given.images) == 20 and set(given.classes) <= {
            *("cross", "ellipse", "rectangle", "star", "triangle"),
        }

    @pytest.mark.parametrize(
        "content",
        [
            "",
            "<annotation>",
            "<other/>",
            VOC.replace("<xmin>11</xmin>", ""),
            VOC.replace("<xmin>11</xmin>", "<xmin>nan</xmin>"),
            VOC.replace("<xmin>11</xmin>", "<xmin>77</xmin>"),
            VOC.replace("Katze größer", " "),
            '<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>',
            '<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotation><object/></annotation>',
            "<a>" * 100_000,
        ],
    )
    def test_what_is_none_is_refused_by_name(self, content: str, tmp_path: Path) -> None:
        (tmp_path / "a.xml").write_text(content, "utf-8")
        with pytest.raises(ValueError, match=r"a\.xml: it is no Pascal VOC"):
            read_voc(tmp_path)
