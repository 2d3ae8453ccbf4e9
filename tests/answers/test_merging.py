"""What several tiles show is merged: each thing comes out once."""

from dataclasses import replace

import pytest

from florence_annotate.answers.merging import merge
from florence_annotate.geometry.polygons import to_mask
from florence_annotate.types import Box, Instance, Polygon

LEFT, RIGHT = (0.0, 0.0, 60.0, 100.0), (40.0, 0.0, 100.0, 100.0)


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

    def test_a_tile_beats_the_whole_image(self) -> None:
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

    def test_the_whole_image_knows_what_a_tile_cuts_unless_it_is_a_blur(self) -> None:
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
