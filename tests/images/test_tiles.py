"""Large pictures in tiles: how they are cut, and that each thing comes out once."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import annotate
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import florence_annotate
from florence_annotate.answers.merging import merge
from florence_annotate.errors import UsageError
from florence_annotate.geometry import locations
from florence_annotate.geometry.boxes import holds, iou, size, within
from florence_annotate.geometry.polygons import to_mask
from florence_annotate.images.codec import model_pixels
from florence_annotate.images.tiles import Tiling
from florence_annotate.journal import Journal
from florence_annotate.shapes.scenes import Scene, paint_large
from florence_annotate.tasks import REGION_TO_SEGMENTATION
from florence_annotate.types import Box, Instance, Polygon

LEFT, RIGHT = (0.0, 0.0, 60.0, 100.0), (40.0, 0.0, 100.0, 100.0)


class TestCutting:
    @given(
        st.integers(1, 3000),
        st.integers(1, 3000),
        st.one_of(st.sampled_from(["2x2", "3x1", "1x4"]), st.integers(200, 900).map(str)),
        st.floats(0, 0.5),
    )
    def test_tiles_cover_the_picture_and_stay_in_it(
        self, width: int, height: int, tiles: str, overlap: float
    ) -> None:
        boxes = Tiling.parse(tiles, overlap).cut(width, height)
        sizes = {(x2 - x1, y2 - y1) for x1, y1, x2, y2 in boxes}
        assert len(sizes) <= 1
        covered = np.zeros((height, width), bool)
        for x1, y1, x2, y2 in boxes:
            assert 0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height
            covered[int(y1) : int(y2), int(x1) : int(x2)] = True
        assert covered.all() or not boxes

    def test_neighbours_share_the_overlap(self) -> None:
        boxes = Tiling.parse("2x1", 0.2).cut(1800, 500)
        assert boxes == [(0, 0, 1000, 500), (800, 0, 1800, 500)]
        assert Tiling.parse("768", 0.2).cut(700, 768) == []

    @pytest.mark.parametrize("text", ["", "0x2", "2x", "x", "16x17", "8", "2x2x2", "-768"])
    def test_what_is_no_tiling_is_refused(self, text: str) -> None:
        with pytest.raises(UsageError, match="--tiles"):
            Tiling.parse(text, 0.2)

    def test_a_tile_is_resized_as_a_picture_of_its_own(self) -> None:
        scene = paint_large(5, side=600, count=4)
        tile = (100.0, 50.0, 400.0, 250.0)
        whole, part = model_pixels(scene.image, 96, [tile])
        assert (whole == model_pixels(scene.image, 96)[0]).all()
        assert (part == model_pixels(scene.image.crop(tile), 96)[0]).all()


def corners(box: Box) -> Polygon:
    x1, y1, x2, y2 = box
    return (x1, y1), (x2, y1), (x2, y2), (x1, y2)


class TestMerging:
    def seen(self, box: Box, view: Box | None, score: float = 0.5, label: str = "a") -> Instance:
        return Instance(label, score, box, "<OD>", view=view)

    def test_what_a_tile_sees_whole_beats_what_another_cuts(self) -> None:
        cut = self.seen((45.0, 10.0, 59.9, 30.0), LEFT, 0.9)
        whole = self.seen((45.0, 10.0, 70.0, 30.0), RIGHT, 0.4)
        kept, dropped = merge([cut, whole], 100, 100)
        assert kept == [whole]
        assert [(one.box, one.reason) for one in dropped] == [(cut.box, "other-view")]

    def test_a_tile_beats_the_whole_picture(self) -> None:
        coarse = self.seen((44.0, 9.0, 71.0, 31.0), None, 0.9)
        fine = self.seen((45.0, 10.0, 70.0, 30.0), RIGHT, 0.4)
        assert merge([coarse, fine], 100, 100)[0] == [fine]

    def test_what_every_view_cuts_is_put_together(self) -> None:
        parts = [
            self.seen((20.0, 10.0, 60.0, 30.0), LEFT),
            self.seen((40.0, 10.0, 90.0, 30.0), RIGHT),
        ]
        (whole,), _ = merge(parts, 100, 100)
        assert whole.box == (20.0, 10.0, 90.0, 30.0)

    def test_a_thing_longer_than_the_overlap_comes_out_once(self) -> None:
        left = self.seen((5.0, 10.0, 60.0, 30.0), LEFT, 0.9)
        right = self.seen((40.0, 10.0, 99.0, 30.0), RIGHT, 0.7)
        coarse = self.seen((4.0, 9.0, 98.0, 31.0), None, 0.8)
        assert merge([left, right, coarse], 100, 100)[0] == [coarse]
        (whole,), dropped = merge([right, left], 100, 100)
        assert whole.box == (5.0, 10.0, 99.0, 30.0) and len(dropped) == 1

    def test_a_thing_over_three_tiles_comes_out_once(self) -> None:
        tiles = [(start, 0.0, start + 60.0, 50.0) for start in (0.0, 40.0, 80.0)]
        parts = [
            self.seen((10.0, 5.0, 60.0, 30.0), tiles[0], 0.9),
            self.seen((40.0, 5.0, 100.0, 30.0), tiles[1], 0.3),
            self.seen((80.0, 5.0, 130.0, 30.0), tiles[2], 0.8),
        ]
        (whole,), _ = merge(parts, 140, 50)
        assert whole.box == (10.0, 5.0, 130.0, 30.0)

    def test_outlines_are_put_together_with_their_boxes(self) -> None:
        boxes = [(5.0, 10.0, 60.0, 30.0), (40.0, 10.0, 99.0, 30.0)]
        parts = [
            replace(self.seen(box, view), polygons=(corners(box),))
            for box, view in zip(boxes, (LEFT, RIGHT), strict=True)
        ]
        (whole,), _ = merge(parts, 100, 100)
        mask = to_mask(whole.polygons, 100, 100)
        assert mask.sum() == pytest.approx(94 * 20, rel=0.1)
        assert mask[20, 8] and mask[20, 50] and mask[20, 95]

    def test_what_one_view_tells_apart_stays_apart(self) -> None:
        car, wheel = (45.0, 10.0, 95.0, 60.0), (50.0, 20.0, 92.0, 58.0)
        things = [self.seen(car, RIGHT, 0.5), self.seen(wheel, RIGHT, 0.9)]
        assert merge(things, 100, 100) == (things, [])
        coarse = [self.seen(car, None, 0.6), self.seen(wheel, None, 0.6)]
        assert merge([*things, *coarse], 100, 100)[0] == things

    def test_another_prompts_answer_takes_nothing_away(self) -> None:
        person = replace(
            self.seen((44.0, 9.0, 71.0, 31.0), None, 0.9, "person"),
            task="<OPEN_VOCABULARY_DETECTION>",
        )
        coat = replace(
            self.seen((45.0, 10.0, 70.0, 30.0), RIGHT, 0.4, "coat"),
            task="<OPEN_VOCABULARY_DETECTION>",
        )
        assert merge([person, coat], 100, 100) == ([person, coat], [])

    @pytest.mark.parametrize(("score", "kept"), [(0.9, "b"), (0.1, "a")])
    def test_of_two_names_for_one_place_the_surer_stays(self, score: float, kept: str) -> None:
        coarse = self.seen((44.0, 9.0, 71.0, 31.0), None, score, "b")
        fine = self.seen((45.0, 10.0, 70.0, 30.0), RIGHT, 0.4)
        (one,), (other,) = merge([coarse, fine], 100, 100)
        assert (one.label, {one.label, other.label}) == (kept, {"a", "b"})

    def test_the_whole_picture_knows_what_a_tile_cuts_unless_it_is_a_blur(self) -> None:
        cut = self.seen((30.0, 10.0, 59.9, 30.0), LEFT, 0.4, "b")
        coarse = self.seen((30.0, 9.0, 95.0, 40.0), None, 0.3)
        assert merge([cut, coarse], 100, 100)[0] == [coarse]
        blur = replace(coarse, score=0.1)
        assert merge([cut, blur], 100, 100)[0] == [cut, blur]

    def test_what_is_cut_and_called_by_another_name_is_seen_whole_elsewhere(self) -> None:
        cut = self.seen((45.0, 10.0, 59.9, 30.0), LEFT, 0.9, "b")
        whole = self.seen((44.0, 10.0, 90.0, 32.0), RIGHT, 0.4)
        before_it = self.seen((30.0, 0.0, 59.9, 90.0), LEFT, 0.4, "c")
        kept, dropped = merge([cut, whole, before_it], 100, 100)
        assert kept == [whole, before_it] and [one.label for one in dropped] == ["b"]

    def test_what_another_question_found_is_kept_to_confirm_it(self) -> None:
        found = self.seen((45.0, 10.0, 55.0, 30.0), RIGHT)
        confirming = replace(found, task="<CAPTION_TO_PHRASE_GROUNDING>")
        assert merge([found, confirming], 100, 100) == ([found, confirming], [])

    def test_other_labels_and_places_stay(self) -> None:
        box = (45.0, 10.0, 55.0, 30.0)
        others = [
            self.seen(box, LEFT),
            self.seen(box, LEFT, label="b"),
            self.seen((45.0, 40.0, 55.0, 60.0), LEFT),
        ]
        kept, dropped = merge(others, 100, 100)
        assert kept == others and dropped == []
        assert merge([], 1, 1) == ([], [])


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
    with Journal.open_existing(tmp_path / "out") as journal:
        asked = [answer.question for record in journal.records() for answer in record.answers]
    masks = [question for question in asked if question.task == REGION_TO_SEGMENTATION]
    assert all(q.view is None or holds(q.view, q.region) for q in masks if q.region)
    of_a_tile = [q for q in masks if q.view is not None]
    assert len(of_a_tile) >= 15
    # in the tile's own bins, which differ from the whole picture's
    for question in of_a_tile:
        assert question.region and question.view
        box = within(question.region, question.view)
        assert question.text == locations.to_locations(box, *size(question.view))


def test_small_pictures_are_not_cut(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.new("RGB", (300, 200), "gray").save(tmp_path / "in" / "a.png")
    assert annotate(tmp_path / "in", tmp_path / "out", "--tiles", "768").code == 0
    with Journal.open_existing(tmp_path / "out") as journal:
        (record,) = journal.records()
    assert [answer.question.view for answer in record.answers] == [None]


def test_tiles_belong_to_the_job(large: tuple[Path, list[Scene]], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert annotate(large[0], out, "--tiles", "2x2", "--limit", 1).code == 0
    other = annotate(large[0], out, "--tiles", "3x3")
    assert other.code == 1 and "tiles" in other.err
    captions = annotate(large[0], tmp_path / "other", "--tiles", "2x2", "--task", "caption")
    assert captions.code == 2 and "whole image" in captions.err
