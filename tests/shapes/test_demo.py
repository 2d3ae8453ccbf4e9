"""The demo folder and its ground truth."""

import contextlib
import io
import json
from pathlib import Path

import pytest
from PIL import Image
from pycocotools.coco import COCO

from florence_annotate.errors import FlorenceAnnotateError
from florence_annotate.shapes import COLOURS, SHAPES
from florence_annotate.shapes.demo import (
    FIRST_SEED,
    GROUND_TRUTH,
    Demo,
    polygon_area,
    write_demo,
)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return write_demo(tmp_path_factory.mktemp("demo") / "new" / "folder", count=6)


def test_pycocotools_loads_the_ground_truth(demo: Demo) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(demo.ground_truth))
    assert sorted(coco.imgs) == list(range(1, 7)) and demo.images == 6
    assert sorted(coco.anns) == list(range(1, demo.objects + 1))
    assert [coco.cats[number]["name"] for number in sorted(coco.cats)] == list(SHAPES)
    assert sorted(coco.cats) == list(range(1, len(SHAPES) + 1))
    for annotation in coco.anns.values():
        image = coco.imgs[annotation["image_id"]]
        x, y, width, height = annotation["bbox"]
        assert x >= 0 and y >= 0 and width > 0 and height > 0
        assert x + width <= image["width"] and y + height <= image["height"]
        assert 0 < annotation["area"] <= width * height + 1
        assert annotation["iscrowd"] == 0
        assert annotation["colour"] in COLOURS
        (polygon,) = annotation["segmentation"]
        assert polygon_area(tuple(polygon)) == pytest.approx(annotation["area"], abs=2)


def test_images_are_as_the_ground_truth_says(demo: Demo) -> None:
    truth = json.loads(demo.ground_truth.read_text())
    names = [image["file_name"] for image in truth["images"]]
    assert names == [f"scene-{seed}.jpg" for seed in range(2_000_000, 2_000_006)]
    assert sorted(p.name for p in demo.directory.iterdir()) == ["ground-truth.json", *names]
    for image in truth["images"]:
        with Image.open(demo.directory / image["file_name"]) as opened:
            assert opened.size == (image["width"], image["height"])
            assert opened.format == "JPEG"


def test_the_same_seed_writes_the_same_files(demo: Demo, tmp_path: Path) -> None:
    write_demo(tmp_path, count=6)
    for file in sorted(demo.directory.iterdir()):
        assert (tmp_path / file.name).read_bytes() == file.read_bytes()


def test_a_folder_with_other_images_is_refused(demo: Demo, tmp_path: Path) -> None:
    write_demo(tmp_path, count=2)
    write_demo(tmp_path, count=3)  # the first two are the same images
    before = sorted(tmp_path.iterdir())
    with pytest.raises(FlorenceAnnotateError, match="choose a new or an empty folder"):
        write_demo(tmp_path, count=2)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(("count", "seed"), [(0, 2_000_000), (3, -1)])
def test_senseless_requests_are_refused(tmp_path: Path, count: int, seed: int) -> None:
    with pytest.raises(FlorenceAnnotateError):
        write_demo(tmp_path / "never", count=count, seed=seed)
    assert not (tmp_path / "never").exists()


def test_polygon_area() -> None:
    assert polygon_area((0, 0, 4, 0, 4, 3, 0, 3)) == 12


def test_links_in_the_place_of_a_demos_files_are_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("of somebody")
    demo = tmp_path / "demo"
    demo.mkdir()
    for name in (f"scene-{FIRST_SEED}.jpg", GROUND_TRUTH):
        (demo / name).symlink_to(victim)
    write_demo(demo, count=1)
    assert victim.read_text() == "of somebody"
    assert not any(path.is_symlink() for path in demo.iterdir())
