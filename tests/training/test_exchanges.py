"""Questions and their right answers."""

from known_truth import SCENE, STAR, boxes

from training import exchanges
from training.truth import Truth


def test_detection_names_each_shape_once_with_boxes_from_left_to_right() -> None:
    exchange = exchanges.detection(SCENE)
    assert exchange.prompt == "Locate the objects with category name in the image."
    assert exchange.answer == (
        f"star{boxes(5, 500, 90, 600, 10, 20, 30, 40)}cross{boxes(500, 0, 600, 999)}"
    )


def test_nothing_there_is_the_empty_answer() -> None:
    assert exchanges.detection(Truth()).answer == ""
    assert exchanges.open_vocabulary("blue star", SCENE).answer == ""
    assert exchanges.segmentation("blue star", SCENE).answer == ""
    assert exchanges.ocr(Truth()).answer == exchanges.ocr_regions(Truth()).answer == ""


def test_a_phrase_may_leave_the_colour_out() -> None:
    exchange = exchanges.open_vocabulary("red star", SCENE)
    assert exchange.prompt == "Locate red star in the image."
    assert exchange.answer == "red star" + boxes(10, 20, 30, 40)
    exchange = exchanges.open_vocabulary("star", SCENE)
    assert exchange.answer == "star" + boxes(5, 500, 90, 600, 10, 20, 30, 40)


def test_grounding_keeps_the_order_of_the_prompt() -> None:
    phrases = ["blue cross", "white ellipse", "red star"]
    exchange = exchanges.grounding("<and>".join(phrases), phrases, SCENE)
    assert exchange.prompt == (
        "Locate the phrases in the caption: blue cross<and>white ellipse<and>red star"
    )
    assert exchange.answer == (
        f"blue cross{boxes(500, 0, 600, 999)}red star{boxes(10, 20, 30, 40)}"
    )


def test_outlines_are_bracketed_only_where_there_are_several() -> None:
    alone = exchanges.segmentation("red star", SCENE)
    assert alone.prompt == "Locate red star in the image with mask"
    assert alone.answer == boxes(20, 20, 30, 40, 10, 40)
    both = exchanges.segmentation("star", SCENE).answer
    assert both.startswith(f"<poly>{boxes(45, 500, 90, 600, 5, 600)}</poly><poly>")


def test_words_have_four_corners() -> None:
    answer = exchanges.ocr_regions(SCENE).answer
    assert answer == "EXIT" + boxes(100, 200, 300, 200, 300, 260, 100, 260)
    assert exchanges.ocr(SCENE).answer == "EXIT"


def test_regions_are_in_the_prompt() -> None:
    exchange = exchanges.region_to_description((1, 2, 3, 4), STAR)
    assert exchange.prompt == f"What does the region {boxes(1, 2, 3, 4)} describe?"
    assert exchange.answer == "red star"
    assert exchanges.region_to_ocr((1, 2, 3, 4), None).answer == ""
