"""The parts that recipes are made of: which questions are asked about an image."""

from written_answers import answer

from florence_annotate.geometry.locations import to_locations
from florence_annotate.labels.given import Region
from florence_annotate.questions.asking import (
    AskAboutRegions,
    AskAll,
    AskAlso,
    AskTiles,
    AskWithText,
    about_region,
)
from florence_annotate.questions.recipes import AskAboutBoxes
from florence_annotate.tasks import CAPTION, GROUNDING, OD, REGION_TO_SEGMENTATION
from florence_annotate.types import Answer, Box, ImageRef, Picture, Question, Record

REF = ImageRef("a.jpg", b"/a.jpg", 1, 1)
LEFT, RIGHT = (0.0, 0.0, 60.0, 100.0), (40.0, 0.0, 100.0, 100.0)


def picture(*tiles: Box) -> Picture:
    return Picture(REF, "", None, 100, 100, tiles)


def record(*answers: Answer) -> Record:
    return Record(REF, "", 100, 100, answers)


def test_the_same_is_asked_about_every_image_once() -> None:
    recipe = AskAll((Question(OD), Question(CAPTION)))
    assert recipe.first(picture()) == (Question(OD), Question(CAPTION))
    assert recipe.then(record(answer("cat", 1, 2, 3, 4))) == ()


def test_further_questions_are_asked_with_the_first_and_leave_follow_ups_alone() -> None:
    boxes = AskAboutBoxes(AskAll((Question(OD),)), REGION_TO_SEGMENTATION)
    recipe = AskAlso(boxes, (Question(CAPTION),))
    assert recipe.first(picture()) == (Question(OD), Question(CAPTION))
    seen = record(answer("cat", 10, 20, 30, 40), answer("a cat", task=CAPTION))
    assert recipe.then(seen) == boxes.then(seen) != ()


def test_an_image_without_a_text_is_asked_nothing() -> None:
    texts = {"a.jpg": "a cat", "b.jpg": None}
    recipe = AskWithText(GROUNDING, lambda ref: texts[ref.key])
    assert recipe.first(picture()) == (Question(GROUNDING, "a cat"),)
    other = Picture(ImageRef("b.jpg", b"/b.jpg", 1, 1), "", None, 100, 100)
    assert recipe.first(other) == ()


def test_given_regions_are_asked_about_in_pixels_with_their_labels() -> None:
    regions = [Region((0.1, 0.2, 0.5, 0.5), "cat", is_relative=True)]
    recipe = AskAboutRegions(REGION_TO_SEGMENTATION, lambda ref: regions)
    (asked,) = recipe.first(Picture(REF, "", None, 200, 100))
    assert asked.region == (20.0, 20.0, 100.0, 50.0) and asked.label == "cat"
    assert asked.text == to_locations(asked.region, 200, 100)


def test_tiles_are_asked_for_boxes_and_the_whole_image_alone_for_text() -> None:
    recipe = AskTiles(AskAll((Question(OD), Question(CAPTION))))
    assert recipe.first(picture(LEFT, RIGHT)) == [
        Question(OD),
        Question(OD, view=LEFT),
        Question(OD, view=RIGHT),
        Question(CAPTION),
    ]
    assert recipe.first(picture()) == [Question(OD), Question(CAPTION)]


def test_a_region_is_asked_of_the_tile_that_shows_most_around_it() -> None:
    boxes = (45.0, 10.0, 58.0, 30.0), (5.0, 5.0, 95.0, 95.0)
    recipe = AskTiles(AskAll(tuple(about_region("<REGION_TO_OCR>", b, 100, 100) for b in boxes)))
    small, large = recipe.first(picture(LEFT, RIGHT))
    assert small.view == RIGHT and small.region == boxes[0]
    assert small.text == to_locations((5.0, 10.0, 18.0, 30.0), 60, 100)
    assert large == about_region("<REGION_TO_OCR>", boxes[1], 100, 100)


def test_follow_ups_in_tiles_go_by_the_views_that_were_asked() -> None:
    recipe = AskTiles(AskAboutBoxes(AskAll((Question(OD),)), REGION_TO_SEGMENTATION))
    whole = answer("cat", 50, 100, 200, 300)
    seen = record(whole, Answer(Question(OD, view=LEFT), b"", (), (), (), False))
    (asked,) = recipe.then(seen)
    assert asked.view == LEFT and asked.region is not None
