"""One image: what is beside it, how it is walked through, and that a link opens it."""

from pathlib import Path

from browsing import Visit, tile
from playwright.sync_api import Page, expect


def name(page: Page) -> str:
    return page.locator("#viewer-name").inner_text()


def test_a_click_opens_an_image_with_all_that_is_known_of_it(visit: Visit, street: Path) -> None:
    page = visit.open(street)
    tile(page, "street/car-1.png").click()
    expect(page.locator("#viewer")).to_be_visible()
    assert name(page) == "street/car-1.png"
    expect(page.locator("#viewer-place")).to_have_text("5 of 6")
    facts = page.locator("#viewer-facts")
    for line in ("103 × 80 px", "Kept (2)", "Dropped (2)", "Missed (1)", "Found (1)"):
        expect(facts).to_contain_text(line)
    expect(facts.get_by_role("button", name="person 0.80")).to_contain_text("wrong")
    expect(facts.get_by_role("button", name="car 0.30")).to_contain_text("below --min-score")
    expect(facts.get_by_role("button", name="sedan 0.90")).to_contain_text("no class")


def test_the_image_is_the_dataset_s_own(visit: Visit, street: Path) -> None:
    page = visit.open(street, "#image=street/car-1.png")
    image = page.locator("#viewer .picture img")
    expect(image).to_have_attribute("src", f"images/{split_of(page)}/street/car-1.png")
    expect(image).to_have_js_property("naturalWidth", 103)


def split_of(page: Page) -> str:
    facts = page.locator("#viewer-facts .facts").inner_text()
    return "val" if "val" in facts else "train"


def test_where_the_image_is_gone_its_thumbnail_is_shown(
    troubled_visit: Visit, street: Path, tmp_path: Path
) -> None:
    alone = tmp_path / "report.html"
    alone.write_bytes(street.read_bytes())
    page = troubled_visit.open(alone, "#image=street/car-1.png")
    expect(page.locator("#viewer")).to_contain_text("the picture itself can't be read")
    image = page.locator("#viewer .picture img")
    expect(image).to_have_js_property("naturalWidth", 103)
    assert str(image.get_attribute("src")).startswith("data:image/jpeg")
    assert troubled_visit.troubles  # the browser's own


def test_before_an_export_thumbnails_are_shown_as_what_they_are(
    visit: Visit, chunked: Path
) -> None:
    page = visit.open(chunked, "#image=000.png")
    expect(page.locator("#viewer")).to_contain_text("the dataset does not have this picture")


def test_keys_open_walk_and_close(visit: Visit, street: Path) -> None:
    page = visit.open(street, "#text=park")
    viewer = page.locator("#viewer")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(viewer).to_be_visible()
    assert name(page) == "park/cut.png"
    for key, expected in (
        ("ArrowRight", "park/empty.png"),
        ("j", "park/person.png"),
        ("j", "park/person.png"),  # the last one
        ("ArrowLeft", "park/empty.png"),
        ("k", "park/cut.png"),
    ):
        page.keyboard.press(key)
        assert name(page) == expected
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    expect(viewer).to_be_hidden()
    expect(page.locator(".tile:focus")).to_have_attribute("data-key", "park/empty.png")
    expect(page).to_have_url(f"{street.as_uri()}#text=park")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()


def test_a_link_opens_the_filter_and_the_image(visit: Visit, street: Path) -> None:
    page = visit.open(street, "#class=car")
    tile(page, "street/car-2.png").click()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("d")
    address = f"{street.as_uri()}#class=car&dropped=1&image=street%2Fcar-1.png"
    expect(page).to_have_url(address)
    page.reload()
    expect(page.locator("#viewer-place")).to_have_text("1 of 2")
    assert name(page) == "street/car-1.png"
    expect(page.locator("#viewer .box.dropped").first).to_be_visible()
    page.get_by_role("button", name="Close").click()
    expect(page.locator("#viewer")).to_be_hidden()
    expect(page.locator("#count")).to_have_text("2 of 6 images")


def test_the_back_button_closes_what_was_opened(visit: Visit, street: Path) -> None:
    page = visit.open(street, "#class=car")
    tile(page, "street/car-1.png").click()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#viewer-place")).to_have_text("2 of 2")
    page.go_back()
    expect(page.locator("#viewer")).to_be_hidden()
    expect(page.locator("#count")).to_have_text("2 of 6 images")


def test_a_toggle_beside_an_image_stays_when_it_is_closed(visit: Visit, street: Path) -> None:
    page = visit.open(street)
    tile(page, "street/car-1.png").click()
    dropped = page.locator("#viewer .box.dropped").first
    expect(dropped).to_be_hidden()
    page.keyboard.press("d")
    expect(dropped).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".tile .box.dropped")).to_have_count(2)
    expect(page).to_have_url(f"{street.as_uri()}#dropped=1")


def test_pointing_at_a_box_in_the_list_shows_it(visit: Visit, street: Path) -> None:
    page = visit.open(street, "#image=street/car-1.png")
    row = page.locator("#viewer-facts").get_by_role("button", name="sedan")
    hidden = page.locator("#viewer .box.dropped", has_text="sedan")
    expect(hidden).to_be_hidden()
    row.hover()
    expect(hidden).to_be_visible()
    page.locator("#viewer-facts").get_by_role("button", name="car 0.90").focus()
    expect(page.locator("#viewer .box.lit")).to_have_count(2)


def test_truth_is_drawn_over_the_boxes_or_beside_them(visit: Visit, street: Path) -> None:
    page = visit.open(street, "#image=street/car-1.png")
    panes = page.locator("#viewer .pane")
    truth = panes.first.locator(".box.truth")
    expect(truth).to_have_count(2)
    expect(panes.first.locator(".box.truth.fails")).to_have_text("missed person")
    expect(panes.first.locator(".box.kept.fails")).to_contain_text("person")
    page.keyboard.press("t")
    expect(panes).to_have_count(2)
    expect(truth).to_have_count(0)
    expect(panes.nth(1).locator(".box")).to_have_text(["missed person", "car"])
    expect(page).to_have_url(f"{street.as_uri()}#truth=beside&image=street%2Fcar-1.png")
    page.keyboard.press("t")
    expect(panes).to_have_count(1)
    expect(truth).to_have_count(0)
    page.keyboard.press("Escape")
    expect(page.locator(".tile .box.truth")).to_have_count(0)
    page.keyboard.press("t")
    expect(page.locator(".tile .box.truth")).to_have_text(["missed person"])


def test_a_picture_is_zoomed_by_wheel_and_buttons_and_moved_by_dragging(
    visit: Visit, street: Path
) -> None:
    page = visit.open(street, "#image=street/car-1.png")
    picture = page.locator("#viewer .picture")

    def place() -> dict[str, float]:
        return dict(picture.bounding_box() or {})

    fitting = place()
    pane = page.locator("#viewer .pane").bounding_box()
    assert pane is not None
    assert fitting["height"] == pane["height"] or fitting["width"] == pane["width"]
    page.mouse.move(pane["x"] + pane["width"] / 2, pane["y"] + pane["height"] / 2)
    page.mouse.wheel(0, -300)
    larger = place()
    assert larger["width"] > 1.5 * fitting["width"]
    page.mouse.down()
    page.mouse.move(pane["x"] + pane["width"] / 2 + 60, pane["y"] + pane["height"] / 2)
    page.mouse.up()
    assert place() == {**larger, "x": larger["x"] + 60}
    page.get_by_role("button", name="Zoom in").click()
    assert place()["width"] > larger["width"]
    page.keyboard.press("0")
    assert place() == fitting
    box = page.locator("#viewer .box.kept", has_text="car").bounding_box()
    assert box is not None  # a tenth of the picture's width to the right of its edge
    assert abs(box["x"] - fitting["x"] - 0.1 * fitting["width"]) < 0.01 * fitting["width"]
    page.locator("#viewer-facts").get_by_role("button", name="car 0.90").click()
    assert place()["width"] > fitting["width"]


def test_an_image_that_failed_says_why(visit: Visit, street: Path) -> None:
    page = visit.open(street, "#image=park/broken.png")
    expect(page.locator("#viewer-facts .failure")).to_have_text("decode: the file is cut off")


def test_an_answer_that_was_cut_off_is_told(visit: Visit, street: Path) -> None:
    page = visit.open(street, "#image=park/cut.png")
    expect(page.locator("#viewer-facts")).to_contain_text("cut off at its greatest length")


def test_an_image_of_a_link_is_closed_again_after_going_back_to_it(
    visit: Visit, street: Path
) -> None:
    page = visit.open(street, "#class=car&image=street/car-1.png")
    viewer = page.locator("#viewer")
    for _ in range(2):
        expect(viewer).to_be_visible()
        page.get_by_role("button", name="Close").click()
        expect(viewer).to_be_hidden()
        expect(page).to_have_url(f"{street.as_uri()}#class=car")
        page.go_back()
    expect(viewer).to_be_visible()
    page.go_forward()
    tile(page, "street/car-2.png").click()
    page.reload()
    expect(page.locator("#viewer-place")).to_have_text("2 of 2")
    page.keyboard.press("Escape")
    expect(viewer).to_be_hidden()
    assert page.evaluate("history.length") == 4  # about:blank, the link, the gallery, the image


def test_an_image_that_is_opened_while_another_one_closes_stays(visit: Visit, street: Path) -> None:
    page = visit.open(street, "#image=park/cut.png")
    expect(page.locator("#viewer")).to_be_visible()
    page.evaluate(
        "const { address } = florenceReport.page; "
        "address.change({ image: null }); address.change({ image: 'park/person.png' });"
    )
    page.wait_for_timeout(200)  # in which it would close
    expect(page.locator("#viewer")).to_be_visible()
    assert name(page) == "park/person.png"


def test_what_is_not_drawn_dims_nothing(visit: Visit, street: Path) -> None:
    page = visit.open(street, "#image=street/car-1.png&truth=0")
    row = page.locator("#viewer-facts").get_by_role("button", name="person").last
    row.hover()
    expect(row).to_have_class("truth")
    expect(page.locator("#viewer-panes.has-lit")).to_have_count(0)
