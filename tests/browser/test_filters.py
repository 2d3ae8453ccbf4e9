"""The gallery and what it is filtered by; the filter is in the address."""

from pathlib import Path

import pytest
from browsing import Visit, tile
from conftest import command
from playwright.sync_api import Page, expect
from written_answers import answer, written_job

from florence_annotate.tasks import CAPTION
from florence_annotate.types import Question

ALL = ["broken.png", "cut.png", "empty.png", "person.png", "car-1.png", "car-2.png"]


def shown(page: Page) -> list[str]:
    """The names of the images in the gallery, without their folders."""
    tiles = page.locator(".tile").all()
    return [str(tile.get_attribute("data-key")).rpartition("/")[2] for tile in tiles]


def test_all_images_are_there_in_the_order_of_their_names(visit: Visit, street: Path) -> None:
    page = visit.open(street)
    expect(page.locator("#count")).to_have_text("6 of 6 images")
    assert shown(page) == ALL
    expect(tile(page, "street/car-1.png")).to_have_accessible_name(
        "street/car-1.png, 2 boxes, 2 dropped, 1 wrong, 1 missed"
    )
    expect(tile(page, "park/cut.png")).to_contain_text("answer cut off")
    expect(tile(page, "park/broken.png")).to_contain_text("the file is cut off")


@pytest.mark.parametrize(
    ("address", "images"),
    [
        ("#class=car", ["car-1.png", "car-2.png"]),
        ("#class=car&class=person", ["cut.png", "person.png", "car-1.png", "car-2.png"]),
        ("#class=sedan", ["car-1.png"]),  # a label of no class, which was dropped
        ("#score=0.55-0.7", ["cut.png", "car-2.png"]),
        ("#class=car&score=0.2-0.4", []),  # that one was dropped
        ("#class=car&score=0.2-0.4&show=dropped", ["car-1.png"]),
        ("#show=labelled", ["cut.png", "person.png", "car-1.png", "car-2.png"]),
        ("#show=empty", ["empty.png"]),
        ("#show=failed", ["broken.png"]),
        ("#show=truncated", ["cut.png"]),
        ("#show=dropped", ["car-1.png"]),
        ("#show=wrong", ["car-1.png"]),
        ("#show=wrong&class=car", []),
        ("#show=left-out", []),
        ("#reason=min-score", ["car-1.png"]),
        ("#reason=min-score&class=person", []),
        ("#text=CAR", ["car-1.png", "car-2.png"]),
        ("#text=park%2Fp", ["person.png"]),
    ],
)
def test_an_address_filters(visit: Visit, street: Path, address: str, images: list[str]) -> None:
    page = visit.open(street, address)
    expect(page.locator("#count")).to_have_text(f"{len(images)} of 6 images")
    assert shown(page) == images
    notice = "" if images else "No image matches these filters."
    expect(page.locator("#notice")).to_have_text(notice)


def test_the_form_filters_and_a_reload_of_its_address_shows_the_same(
    visit: Visit, street: Path
) -> None:
    page = visit.open(street)
    count = page.locator("#count")
    page.get_by_role("checkbox", name="car").check()
    expect(count).to_have_text("2 of 6 images")
    page.get_by_label("Lowest score").fill("0.7")
    expect(count).to_have_text("1 of 6 images")
    page.get_by_role("combobox", name="Images").select_option("wrong")
    expect(count).to_have_text("0 of 6 images")  # it is the person that is wrong
    page.get_by_role("checkbox", name="car").uncheck()
    page.get_by_role("checkbox", name="person").check()
    page.get_by_label("Name contains").fill("street")
    expect(count).to_have_text("1 of 6 images")
    expect(page).to_have_url(f"{street.as_uri()}#class=person&score=0.7-1&show=wrong&text=street")
    page.reload()
    expect(count).to_have_text("1 of 6 images")
    assert shown(page) == ["car-1.png"]
    expect(page.get_by_role("checkbox", name="person")).to_be_checked()
    expect(page.get_by_label("Lowest score")).to_have_value("0.7")
    expect(page.get_by_label("Name contains")).to_have_value("street")
    page.get_by_role("button", name="Clear the filters").click()
    expect(count).to_have_text("6 of 6 images")
    expect(page.get_by_label("Name contains")).to_have_value("")


def test_the_back_button_takes_a_filter_back(visit: Visit, street: Path) -> None:
    page = visit.open(street)
    page.get_by_role("checkbox", name="car").check()
    page.get_by_label("Dropped because").select_option("min-score")
    expect(page.locator("#count")).to_have_text("1 of 6 images")
    page.go_back()
    expect(page.locator("#count")).to_have_text("2 of 6 images")
    page.go_back()
    expect(page.locator("#count")).to_have_text("6 of 6 images")
    expect(page.get_by_role("checkbox", name="car")).not_to_be_checked()
    page.get_by_label("Name contains").fill("park")
    expect(page.locator("#count")).to_have_text("4 of 6 images")
    page.go_back()
    expect(page.get_by_label("Name contains")).to_have_value("")


def test_the_worst_come_first(visit: Visit, street: Path) -> None:
    page = visit.open(street)
    page.get_by_label("Sort").select_option("worst first")
    expect(page.locator(".tile").first).to_have_attribute("data-key", "street/car-1.png")
    assert sorted(shown(page)) == sorted(ALL)


def test_dropped_boxes_are_drawn_in_dashes_with_the_reason(visit: Visit, street: Path) -> None:
    page = visit.open(street)
    dropped = page.locator(".tile .box.dropped")
    expect(page.locator(".tile .box.kept")).to_have_count(5)
    expect(dropped).to_have_count(0)
    page.keyboard.press("d")
    expect(dropped).to_have_count(2)
    expect(dropped.first).to_have_css("border-top-style", "dashed")
    assert {label.rpartition(":")[0] for label in dropped.all_inner_texts()} == {
        "min-score",
        "no-class",
    }
    expect(page).to_have_url(f"{street.as_uri()}#dropped=1")
    page.get_by_role("checkbox", name="Dropped").uncheck()
    expect(dropped).to_have_count(0)


def test_boxes_that_the_filter_is_not_about_step_aside(visit: Visit, street: Path) -> None:
    page = visit.open(street, "#class=car")
    expect(page.locator(".tile .box.kept:not(.aside)")).to_have_count(2)
    expect(page.locator(".tile .box.kept.aside")).to_have_text(["✗ person"])


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_split_has_the_images_that_lie_in_its_folder(
    visit: Visit, street: Path, split: str
) -> None:
    page = visit.open(street, f"#split={split}")
    expect(page.get_by_label("Split")).to_have_value(split)
    files = (street.parent / "images" / split).rglob("*.png")
    assert sorted(shown(page)) == sorted(file.name for file in files)


@pytest.mark.parametrize(
    ("address", "line"),
    [
        ("#class=dragon", "no class “dragon”"),
        ("#reason=whim", "no reason “whim”"),
        ("#split=test", "no split “test”"),
        ("#show=best", "show=best is none of all, labelled,"),
        ("#score=high", "score=high is no range"),
        ("#colour=red", "knows no “colour”"),
        ("#image=gone.png", "no image “gone.png”"),
    ],
)
def test_an_address_that_asks_for_what_is_not_there_says_so(
    visit: Visit, street: Path, address: str, line: str
) -> None:
    page = visit.open(street, address)
    expect(page.locator("#notice")).to_contain_text(line)
    expect(page.locator("#count")).to_have_text("6 of 6 images")
    for choice in page.locator("#filters select").all():
        expect(choice).to_have_js_property("selectedIndex", 0)


def test_wrong_boxes_are_not_asked_for_where_there_is_no_truth(visit: Visit, chunked: Path) -> None:
    page = visit.open(chunked, "#show=wrong")
    expect(page.locator("#notice")).to_have_text(
        "This report has no ground truth: show=wrong is left out of the filter."
    )
    expect(page.locator("#count")).to_have_text("60 of 60 images")
    expect(page.get_by_role("combobox", name="Images")).to_have_value("all")


def test_a_page_without_truth_or_classes_has_no_controls_for_them(
    visit: Visit, chunked: Path, captioned: Path
) -> None:
    page = visit.open(chunked, "#image=001.png")
    expect(page.locator("#viewer-dropped")).to_be_visible()
    expect(page.locator("#viewer-truth")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(page.get_by_role("checkbox", name="Dropped")).to_be_visible()
    expect(page.get_by_role("checkbox", name="Truth")).to_be_hidden()
    expect(page.get_by_role("group", name="Classes")).to_be_visible()
    page = visit.open(captioned)
    expect(page.get_by_label("Name contains")).to_be_visible()
    expect(page.get_by_role("group", name="Classes")).to_be_hidden()


def test_a_chart_leads_to_the_images_that_it_counts(visit: Visit, street: Path) -> None:
    page = visit.open(street)
    page.locator("#summary a[href='#class=car']").first.click()
    expect(page.locator("#count")).to_have_text("2 of 6 images")
    expect(page.locator("#count")).to_be_in_viewport()


def test_arrows_go_from_tile_to_tile(visit: Visit, street: Path) -> None:
    page = visit.open(street)
    for key in ("ArrowRight", "ArrowRight", "j", "k"):
        page.keyboard.press(key)
    expect(page.locator(".tile:focus")).to_have_attribute("data-key", "park/cut.png")


def test_every_column_of_scores_leads_to_images(visit: Visit, street: Path) -> None:
    page = visit.open(street)
    links = {str(a.get_attribute("href")) for a in page.locator("#summary-scores a").all()}
    assert "#score=0.2-0.3&show=dropped" in links  # all of them are left out
    for address in sorted(links):
        page.goto(street.as_uri() + address)
        expect(page.locator("#count")).not_to_have_text("0 of 6 images")


def test_arrows_move_the_strip_of_the_summary_that_has_the_focus(
    visit: Visit, street: Path
) -> None:
    page = visit.open(street)
    summary = page.locator("#summary")
    summary.focus()
    page.keyboard.press("ArrowRight")
    expect(summary).to_be_focused()
    page.wait_for_function("document.getElementById('summary').scrollLeft > 0")


def test_a_small_score_keeps_its_address(visit: Visit, street: Path) -> None:
    page = visit.open(street)
    page.get_by_label("Lowest score").fill("0.0000001")
    expect(page.locator("#count")).to_have_text("4 of 6 images")
    page.wait_for_timeout(300)  # until the address is written
    page.reload()
    expect(page.locator("#count")).to_have_text("4 of 6 images")
    expect(page.locator("#notice")).to_have_text("")


def test_a_text_is_a_label_too(visit: Visit, tmp_path: Path) -> None:
    said = {"a.png": [answer("a yard", task=CAPTION)], "b.png": [answer("", task=CAPTION)]}
    out = written_job(tmp_path, said, [Question(CAPTION)])
    assert command("report", out).code == 0
    page = visit.open(out / "report.html")
    for name, key in (("with a label", "a.png"), ("without a label", "b.png")):
        page.locator("#summary").get_by_role("link", name=name, exact=True).click()
        expect(page.locator("#count")).to_have_text("1 of 2 images")
        assert shown(page) == [key]
    page.get_by_role("combobox", name="Images").select_option("all")
    expect(tile(page, "a.png")).to_have_accessible_name("a.png, 1 text")


def test_what_was_typed_last_is_there_after_going_back(visit: Visit, street: Path) -> None:
    page = visit.open(street)
    for text in ("p", "park", "park/p"):
        page.get_by_label("Name contains").fill(text)
    page.evaluate("document.querySelector('.tile').click()")  # at once
    expect(page.locator("#viewer")).to_be_visible()
    page.go_back()
    expect(page.locator("#count")).to_have_text("1 of 6 images")
    expect(page).to_have_url(f"{street.as_uri()}#text=park%2Fp")
