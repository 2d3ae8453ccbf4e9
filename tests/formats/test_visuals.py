"""Images with what was found drawn in."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import supervision as sv
from calls import calls_within
from conftest import annotate, command
from PIL import Image
from read_back import annotated_images, objects_of
from written_answers import answer, picture, say

from florence_annotate.dataset.annotated_image import AnnotatedImage
from florence_annotate.formats.visuals import draw, draw_masks
from florence_annotate.types import ImageRef, KeptInstance


def test_visuals_are_images_of_the_same_size_with_boxes_in_them(
    dataset: Path, scenes: Path
) -> None:
    drawn = list((dataset / "visuals").rglob("*.jpg"))
    assert len(drawn) == 20
    expected = {key: objects_of(image) for key, image in annotated_images(dataset).items()}
    for path in drawn:
        with Image.open(path) as visual, Image.open(scenes / path.name) as original:
            assert visual.size == original.size
            difference = np.abs(
                np.asarray(visual, dtype=int) - np.asarray(original.convert("RGB"), dtype=int)
            )
        assert (difference.max() > 60) == bool(expected[path.name])


MASKS, WIDTH, HEIGHT = 60, 1200, 1000


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image of many masks that overlap, of several sizes."""
    folder = tmp_path_factory.mktemp("crowd")
    picture(folder / "in" / "1.png", (WIDTH, HEIGHT))
    out = folder / "out"
    options = ("--task", "segmentation", "--text", "thing", "--split", "train=1")
    assert annotate(folder / "in", out, *options).code == 0
    tokens: list[str | int] = []
    for number in range(MASKS):
        left, top, side = 12 * number, 7 * number, 100 + 37 * number % 61
        corners = (left, top, left + side, top + 30, left + side, top + side, left, top + side)
        tokens += ["<poly>", *corners, "</poly>"]
    said = answer(*tokens, task="<REFERRING_EXPRESSION_SEGMENTATION>")
    say(out, replace(said, question=replace(said.question, text="thing")))
    return out


def test_many_masks_are_never_in_memory_together(crowd: Path) -> None:
    tracemalloc.start()
    try:
        done = command("export", crowd, "--format", "yolo-seg", "--visuals", "--json")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert done.code == 0, done.err
    assert done.json["instances"] == MASKS
    assert peak < 20 * WIDTH * HEIGHT  # of bytes; each mask is one a pixel


def test_masks_are_drawn_as_supervision_draws_them(crowd: Path) -> None:
    (image,) = annotated_images(crowd).values()
    of_classes = (replace(one, class_id=place % 7) for place, one in enumerate(image.instances))
    image = replace(image, instances=tuple(of_classes), class_names=tuple("abcdefg"))
    drawn = np.full((HEIGHT, WIDTH, 3), (10, 90, 200), np.uint8)
    expected = sv.MaskAnnotator(opacity=0.4).annotate(drawn.copy(), image.to_supervision())
    draw_masks(drawn, image)
    assert (drawn != (10, 90, 200)).any()
    assert (drawn == expected).all()


def test_thousands_of_labels_are_not_held_to_each_other() -> None:
    def work(boxes: int) -> int:
        """In what moves labels off each other, a hundred rounds of all pairs."""
        side = 40
        instances = tuple(
            KeptInstance("a", 0.5, (x, y, x + 20.0, y + 20.0), "<OD>", class_id=0)
            for x, y in (
                (float(number % side * 30), float(number // side * 30)) for number in range(boxes)
            )
        )
        ref = ImageRef("1.png", b"1.png", 0, 0)
        image = AnnotatedImage(ref, "", 1200, 600, instances, (), (), False, ("a",))
        drawing = Image.new("RGB", (1200, 600))
        return calls_within("numpy", lambda: draw(drawing, image))

    assert work(501) < work(50)
