"""The painter: deterministic, and within the limits that it promises."""

import subprocess
import sys

import numpy as np
import pytest

from florence_annotate.shapes import COLOURS, INPUT_SIZE, MAX_OBJECTS, SHAPES
from florence_annotate.shapes.scenes import PALETTE, Scene, paint

SEEDS = range(1_200_000, 1_200_120)


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [paint(seed) for seed in SEEDS]


def test_the_same_seed_paints_the_same_scene(scenes: list[Scene]) -> None:
    for first in scenes[:8]:
        again = paint(first.seed)
        assert again.image.tobytes() == first.image.tobytes()
        assert (again.objects, again.words) == (first.objects, first.words)
    assert scenes[0].image.tobytes() != scenes[1].image.tobytes()


def test_images_vary_in_size(scenes: list[Scene]) -> None:
    sizes = {scene.image.size for scene in scenes}
    assert len(sizes) > len(scenes) / 2
    assert all(240 <= width <= 640 and 200 <= height <= 640 for width, height in sizes)
    assert any(width > height for width, height in sizes)
    assert any(width < height for width, height in sizes)
    assert all(scene.image.mode == "RGB" for scene in scenes)


def test_each_number_of_objects_occurs(scenes: list[Scene]) -> None:
    assert {len(scene.objects) for scene in scenes} == set(range(1, MAX_OBJECTS + 1))


def test_all_shapes_and_colours_occur(scenes: list[Scene]) -> None:
    objects = [item for scene in scenes for item in scene.objects]
    assert {item.shape for item in objects} == set(SHAPES)
    assert {item.colour for item in objects} == set(COLOURS) == set(PALETTE)


def test_objects_lie_inside_and_keep_their_size(scenes: list[Scene]) -> None:
    for scene in scenes:
        width, height = scene.image.size
        for item in scene.objects:
            x1, y1, x2, y2 = item.box
            assert 0 <= x1 < x2 <= width
            assert 0 <= y1 < y2 <= height
            # as the model sees it, up to the pixel that painting rounds away.
            assert (x2 - x1) * INPUT_SIZE / width >= 7.5
            assert (y2 - y1) * INPUT_SIZE / height >= 7.5
            assert max(x2 - x1, y2 - y1) <= 0.45 * min(width, height)
            assert 0.48 <= (x2 - x1) / (y2 - y1) <= 2.08


def test_objects_stay_at_least_half_visible(scenes: list[Scene]) -> None:
    visible = [item.visible for scene in scenes for item in scene.objects]
    assert min(visible) >= 0.5
    assert max(visible) == 1.0
    assert any(part < 0.75 for part in visible)


def test_polygons_fill_their_boxes(scenes: list[Scene]) -> None:
    for scene in scenes:
        for item in scene.objects:
            (polygon,) = item.polygons
            xs, ys = polygon[0::2], polygon[1::2]
            extents = (min(xs), min(ys), max(xs), max(ys))
            assert np.abs(np.array(extents) - item.box).max() <= 2.0
            assert item.box[0] <= extents[0] and extents[2] <= item.box[2]
            assert item.box[1] <= extents[1] and extents[3] <= item.box[3]


def test_a_box_holds_the_pixels_of_its_colour() -> None:
    # one object, no blur or noise to speak of in its middle: the centre has the colour.
    for seed in range(1_300_000, 1_300_030):
        scene = paint(seed, max_objects=1)
        (item,) = scene.objects
        x = round((item.box[0] + item.box[2]) / 2)
        y = round((item.box[1] + item.box[3]) / 2)
        patch = np.asarray(scene.image, float)[y - 2 : y + 3, x - 2 : x + 3].mean((0, 1))
        nearest = min(PALETTE, key=lambda name: np.abs(patch - PALETTE[name]).sum())
        assert nearest == item.colour


def test_words_are_printed_inside_the_image(scenes: list[Scene]) -> None:
    words = [(scene, word) for scene in scenes for word in scene.words]
    assert words
    for scene, word in words:
        assert len(word.quad) == 8
        assert all(0 <= x <= scene.image.width for x in word.quad[0::2])
        assert all(0 <= y <= scene.image.height for y in word.quad[1::2])
        # letters of the model's input are some five pixels wide and nine high
        width, height = word.quad[2] - word.quad[0], word.quad[5] - word.quad[1]
        assert width / len(word.text) * INPUT_SIZE / scene.image.width > 3
        assert height * INPUT_SIZE / scene.image.height > 6


def test_limits_can_be_set() -> None:
    assert all(len(paint(seed, max_objects=2).objects) <= 2 for seed in range(20))
    empty = paint(7, empty_rate=1.0)
    assert empty.objects == ()
    with pytest.raises(ValueError, match="max_objects"):
        paint(0, min_objects=3, max_objects=2)


def test_importing_the_room_loads_no_heavy_library() -> None:
    program = (
        "import sys, florence_annotate.shapes\n"
        "heavy = {'torch', 'transformers', 'PIL', 'numpy'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
