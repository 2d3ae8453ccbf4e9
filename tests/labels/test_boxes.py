"""Boxes that users give, in COCO files and YOLO folders."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import annotate, rows
from pycocotools.coco import COCO

from florence_annotate.labels.boxes import read_regions
from florence_annotate.labels.given import Region
from florence_annotate.types import ImageRef

FEW = ("--limit", 4, "--images", "none", "--format", "jsonl")


def coco_of(bbox: list[float], image_id: int = 1, category_id: int = 1, name: str = "thing") -> str:
    """A COCO file with one annotation."""
    annotation = {"image_id": image_id, "category_id": category_id, "bbox": bbox}
    return json.dumps(
        {
            "images": [{"id": 1, "file_name": "a"}],
            "annotations": [annotation],
            "categories": [{"id": 1, "name": name}],
        }
    )


class TestRegions:
    def test_given_boxes_stay_as_they_are(self, scenes: Path, tmp_path: Path) -> None:
        truth = json.loads((scenes / "ground-truth.json").read_text())
        shift = 0.37  # between two bins
        for annotation in truth["annotations"]:
            annotation["bbox"][0] += shift
            annotation["bbox"][2] -= shift
        (tmp_path / "shifted.json").write_text(json.dumps(truth))
        regions = ["--regions", tmp_path / "shifted.json"]
        options = ["--task", "region-to-description", *regions, *FEW]
        assert annotate(scenes, tmp_path / "out", *options).code == 0
        names = {image["id"]: image["file_name"] for image in truth["images"]}
        wanted: dict[str, list[list[float]]] = {}
        for annotation in truth["annotations"]:
            x, y, width, height = annotation["bbox"]
            wanted.setdefault(names[annotation["image_id"]], []).append(
                [x, y, x + width, y + height]
            )
        for row in rows(tmp_path / "out"):
            assert np.allclose([one["box"] for one in row["instances"]], wanted[row["key"]])

    def test_a_yolo_folder_means_the_same_as_a_coco_file(
        self, scenes: Path, dataset: Path, tmp_path: Path
    ) -> None:
        coco = tmp_path / "coco.json"
        parts = [
            json.loads((dataset / "annotations" / f"instances_{split}.json").read_text())
            for split in ("train", "val")
        ]
        for index, part in enumerate(parts):
            for image in part["images"]:
                image["id"] += 1000 * index
            for annotation in part["annotations"]:
                annotation["image_id"] += 1000 * index
        whole = {name: parts[0][name] + parts[1][name] for name in ("images", "annotations")}
        coco.write_text(json.dumps({**whole, "categories": parts[0]["categories"]}))
        found = []
        for regions in (coco, dataset):
            out = tmp_path / f"out-{regions.name}"
            options = ["--task", "region-to-category", "--regions", regions, *FEW]
            result = annotate(scenes, out, *options)
            assert result.code == 0, result.err
            found.append(rows(out))
        for one, other in zip(*found, strict=True):
            assert [i["class"] for i in one["instances"]] == [
                i["class"] for i in other["instances"]
            ]
            boxes = [[i["box"] for i in row["instances"]] for row in (one, other)]
            assert np.allclose(boxes[0], boxes[1], atol=0.01)

    def test_known_labels_are_kept_where_the_task_gives_none(
        self, scenes: Path, tmp_path: Path
    ) -> None:
        regions = ["--regions", scenes / "ground-truth.json"]
        options = ["--task", "region-to-segmentation", *regions, *FEW]
        assert annotate(scenes, tmp_path / "out", *options).code == 0
        wanted = COCO(str(scenes / "ground-truth.json"))
        images = {image["file_name"]: image["id"] for image in wanted.imgs.values()}
        for row in rows(tmp_path / "out"):
            given = wanted.loadAnns(wanted.getAnnIds(images[row["file_name"]]))
            assert [one["class"] for one in row["instances"]] == [
                wanted.cats[one["category_id"]]["name"] for one in given
            ]

    @pytest.mark.parametrize(
        "row",
        [
            *("", "0 0.5 0.5 0.1", "a b c d e", "0 0.1 0.1 0.2 0.1 0.2 0.2"),
            *("0 100 100 50 50", "0 -0.1 0.5 0.1 0.1", "7 0.5 0.5 0.1 0.1", "0 nan 0.5 0.1 0.1"),
        ],
    )
    def test_yolo_rows_that_are_no_boxes_are_refused(
        self, row: str, scenes: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "yolo" / "labels" / "train").mkdir(parents=True)
        (tmp_path / "yolo" / "data.yaml").write_text("names: [a]")
        (tmp_path / "yolo" / "labels" / "train" / "x.txt").write_text(row)
        options = ["--task", "region-to-ocr", "--regions", tmp_path / "yolo"]
        result = annotate(scenes, tmp_path / "out", *options)
        assert result.code == 2 and "regions" in result.err

    def test_splits_of_yolo_may_share_names(self, scenes: Path, tmp_path: Path) -> None:
        first, second = sorted(scenes.glob("*.jpg"))[:2]
        labelled = {"train": (first, "0 0.5 0.5 0.5 0.5"), "val": (second, "1 0.25 0.25 0.5 0.5")}
        (tmp_path / "data.yaml").write_text("names: [a, b]")
        # of another name than any label: no image of the other split is meant
        (tmp_path / "images" / "val").mkdir(parents=True)
        (tmp_path / "images" / "val" / "2.jpg").write_bytes(first.read_bytes())
        (tmp_path / "labels" / "train").mkdir(parents=True)
        (tmp_path / "labels" / "train" / "2.txt").write_text("0 0.5 0.5 0.5 0.5")
        for split, (picture, line) in labelled.items():
            for folder in ("images", "labels"):
                (tmp_path / folder / split).mkdir(parents=True, exist_ok=True)
            (tmp_path / "images" / split / "1.jpg").write_bytes(picture.read_bytes())
            (tmp_path / "labels" / split / "1.txt").write_text(f"\n{line}\n")
        options = ["--task", "region-to-segmentation", "--regions", tmp_path, *FEW]
        out = tmp_path.with_name("regions-out")
        assert annotate(tmp_path / "images", out, *options).code == 0
        found = {row["key"]: row["instances"][0] for row in rows(out)}
        assert {key: one["class"] for key, one in found.items()} == {
            "train/1.jpg": "a", "val/1.jpg": "b",
        }  # fmt: skip
        refused = annotate(tmp_path / "images" / "train", tmp_path.with_name("other"), *options)
        assert refused.code == 2 and "in several folders" in " ".join(refused.err.split())

    @pytest.mark.parametrize(
        "content",
        [
            *("{", "[]", '{"images": []}', coco_of([float("nan"), 1, 5, 5])),
            *(coco_of([0, 0, 1e308, 5]), coco_of([0, 0, -5, 5]), coco_of([0, 0, 5])),
            *(coco_of([0, 0, 5, 5], image_id=7), coco_of([0, 0, 5, 5], category_id=7)),
            *('{"images": [], "annotations": []}', coco_of([0, 0, 5, 5], name="a\nb")),
        ],
    )
    def test_a_file_that_holds_no_regions_is_refused(
        self, content: str, scenes: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "regions.json").write_text(content)
        options = ["--task", "region-to-ocr", "--regions", tmp_path / "regions.json"]
        result = annotate(scenes, tmp_path / "out", *options)
        assert result.code == 2 and "regions" in result.err
        assert not (tmp_path / "out").exists()


class TestRegion:
    def test_normalised_boxes_become_pixels_of_their_image(self) -> None:
        region = Region.of((0.25, 0.5, 0.5, 1), "cat", is_relative=True)
        assert region.pixels(200, 80) == (50, 40, 100, 80)
        assert Region.of((1, 2, 3, 4)).pixels(200, 80) == (1, 2, 3, 4)

    @pytest.mark.parametrize(
        "box", [(1, 2, 3), (1, 2, 3, 4, 5), (0, 0, float("inf"), 1), (0, float("nan"), 1, 1)]
    )
    def test_four_finite_numbers_are_a_box(self, box: tuple[float, ...]) -> None:
        with pytest.raises(ValueError, match="is no box"):
            Region.of(box)

    def test_a_box_does_not_end_before_it_begins(self) -> None:
        with pytest.raises(ValueError, match="ends before it begins"):
            Region.of((5, 5, 4, 6))

    def test_a_coco_file_gives_boxes_by_file_name(self, tmp_path: Path) -> None:
        file = tmp_path / "coco.json"
        file.write_text(coco_of([1, 2, 3, 4]))
        regions = read_regions(file)
        assert regions(ImageRef("a", b"/a", 0, 0)) == [Region((1, 2, 4, 6), "thing")]
        assert list(regions(ImageRef("b", b"/b", 0, 0))) == []
