"""Large images in tiles, through the real command."""

from pathlib import Path

import numpy as np
import pytest
from conftest import annotate
from PIL import Image

import florence_annotate
from florence_annotate.geometry import locations
from florence_annotate.geometry.boxes import holds, iou, size, within
from florence_annotate.journal import Journal
from florence_annotate.shapes.scenes import Scene, paint_large
from florence_annotate.tasks import REGION_TO_SEGMENTATION


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Scene]]:
    folder = tmp_path_factory.mktemp("large")
    scenes = [paint_large(2_300_000 + number, side=1500, count=12) for number in range(2)]
    for scene in scenes:
        scene.image.save(folder / f"{scene.seed}.png")
    return folder, scenes


def recall(out: Path, scenes: list[Scene]) -> float:
    images = {image.ref.key: image for image in florence_annotate.open_dataset(out)}
    hits = [
        (
            item.shape,
            [
                one.label
                for one in images[f"{scene.seed}.png"].instances
                if iou(one.box, item.box) >= 0.5
            ],
        )
        for scene in scenes
        for item in scene.objects
    ]
    assert all(len(labels) <= 1 for _, labels in hits)  # never twice, under whatever name
    return sum(shape in labels for shape, labels in hits) / len(hits)


def test_small_things_are_found_in_tiles(large: tuple[Path, list[Scene]], tmp_path: Path) -> None:
    folder, scenes = large
    for name, options in (("whole", []), ("tiles", ["--tiles", "500", "--workers", 2])):
        assert annotate(folder, tmp_path / name, *options).code == 0
    assert recall(tmp_path / "tiles", scenes) >= 0.8
    assert recall(tmp_path / "tiles", scenes) > 1.5 * recall(tmp_path / "whole", scenes)


def test_masks_are_asked_of_the_tile(large: tuple[Path, list[Scene]], tmp_path: Path) -> None:
    folder, _ = large
    options = ["--tiles", "500", "--recipe", "instance-segmentation"]
    assert annotate(folder, tmp_path / "out", *options).code == 0
    inside = []
    for image in florence_annotate.open_dataset(tmp_path / "out"):
        for one in image.instances:
            if one.view is not None and one.polygons:
                x, y = np.mean(one.polygons[0], axis=0)
                inside.append(one.box[0] < x < one.box[2] and one.box[1] < y < one.box[3])
    assert len(inside) >= 15 and np.mean(inside) >= 0.85
    with Journal.open_to_write(tmp_path / "out") as journal:
        asked = [answer.question for record in journal.records() for answer in record.answers]
    masks = [question for question in asked if question.task == REGION_TO_SEGMENTATION]
    assert all(q.view is None or holds(q.view, q.region) for q in masks if q.region)
    of_a_tile = [q for q in masks if q.view is not None]
    assert len(of_a_tile) >= 15
    # in the tile's own bins, which differ from the whole image's
    for question in of_a_tile:
        assert question.region and question.view
        box = within(question.region, question.view)
        assert question.text == locations.to_locations(box, *size(question.view))


def test_small_images_are_not_cut(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.new("RGB", (300, 200), "gray").save(tmp_path / "in" / "a.png")
    assert annotate(tmp_path / "in", tmp_path / "out", "--tiles", "768").code == 0
    with Journal.open_to_write(tmp_path / "out") as journal:
        (record,) = journal.records()
    assert [answer.question.view for answer in record.answers] == [None]


def test_an_image_of_thousands_of_tiles_fails_alone_and_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.new("RGB", (3000, 2000), "gray").save(tmp_path / "in" / "large.png")
    Image.new("RGB", (60, 60), "gray").save(tmp_path / "in" / "small.png")
    result = annotate(tmp_path / "in", tmp_path / "out", "--tiles", "32", "--json")
    assert (result.code, result.json["images"]["annotated"]) == (3, 1)
    (failure,) = result.json["failures"]
    assert (failure["key"], failure["kind"]) == ("large.png", "too-many-tiles")
    assert "tiles, and 256 are the most: choose larger ones (--tiles)" in failure["message"]


def test_tiles_belong_to_the_job(large: tuple[Path, list[Scene]], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert annotate(large[0], out, "--tiles", "2x2", "--limit", 1).code == 0
    other = annotate(large[0], out, "--tiles", "3x3")
    assert other.code == 1 and "tiles" in other.err
    captions = annotate(large[0], tmp_path / "other", "--tiles", "2x2", "--task", "caption")
    assert captions.code == 2 and "whole image" in captions.err
