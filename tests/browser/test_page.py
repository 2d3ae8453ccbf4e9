"""The page as a whole: hostile names, sizes of screens, what is missing, and who can't see it."""

import re
import shutil
from pathlib import Path

import pytest
from browsing import Visit, tile, visiting
from conftest import command
from playwright.sync_api import Browser, Page, expect
from written_answers import answer, attempt, scored, written_job

from florence_annotate.images.keys import printable
from florence_annotate.journal import Journal
from florence_annotate.tasks import CAPTION, OD
from florence_annotate.types import Question

EVIL = "</script><img src=x onerror=alert(1)>"
HOSTILE = (
    f"{EVIL}.png",
    "quotes \"'`&amp;<b>bold.png",
    "right \u202eto left.png",
    "two\nlines.png",
    "{{data}} $& \\u003c.png",
)


def test_hostile_names_are_text(visit: Visit, tmp_path: Path) -> None:
    found = scored((EVIL, 0.9, (100, 200, 450, 700)), ("car", 0.4, (100, 20, 900, 180)))
    answers = [found, answer(EVIL, task=CAPTION)]
    asked = (Question(OD), Question(CAPTION))
    out = written_job(tmp_path, dict.fromkeys(HOSTILE, answers), asked, min_score=0.5)
    with Journal.open_to_write(out) as journal:
        keys = [printable(name.encode()) for name in HOSTILE]
        attempt(journal, tmp_path, dict.fromkeys(keys, answers))
    out = out.rename(tmp_path / EVIL.replace("/", ""))
    result = command("report", out)
    assert result.code == 0, result.err
    page = visit.open(out / "report.html", "#dropped=1")
    expect(page.locator("#count")).to_have_text(f"{len(HOSTILE)} of {len(HOSTILE)} images")
    expect(page.locator("h1")).to_have_text(out.name)
    expect(page.locator("#classes")).to_contain_text(EVIL)
    expect(page.locator("#gallery")).to_contain_text("onerror=alert(1)>.png")
    for each in page.locator(".tile").all():
        key = str(each.get_attribute("data-key"))
        each.click()
        expect(page.locator("#viewer-name")).to_have_text(key)
        expect(page.locator("#viewer-facts blockquote")).to_have_text(EVIL)
        page.reload()  # by its address
        expect(page.locator("#viewer-name")).to_have_text(key)
        page.keyboard.press("Escape")
        expect(page.locator("#viewer")).to_be_hidden()
    assert page.locator("img[onerror], b, [src=x]").count() == 0


@pytest.mark.parametrize("width", [320, 390])
def test_a_phone_has_one_column_and_nothing_to_scroll_sideways(
    browser: Browser, street: Path, width: int
) -> None:
    size = {"width": width, "height": 700}
    with visiting(browser, viewport=size, has_touch=True, is_mobile=True) as visit:
        page = visit.open(street)
        expect(page.locator("#count")).to_have_text("6 of 6 images")
        assert overflow(page) == 0
        left = {tile.bounding_box()["x"] for tile in page.locator(".tile").all()}  # type: ignore[index]
        assert len(left) == 1
        form = page.locator("#filters")
        expect(form).to_be_hidden()
        page.locator("#filters-box > summary").tap()
        expect(form).to_be_visible()
        assert overflow(page) == 0
        page.get_by_role("checkbox", name="car").check()
        tile(page, "street/car-1.png").tap()
        expect(page.locator("#viewer")).to_be_visible()
        for part in ("#viewer-panes", "#viewer-facts", "#viewer-close", "#viewer-truth"):
            expect(page.locator(part)).to_be_in_viewport(ratio=0.99)
        assert overflow(page) == 0
        assert visit.troubles == []


def overflow(page: Page) -> int:
    """CSS pixels by which the page is wider than the screen."""
    root = "document.documentElement"
    return int(page.evaluate(f"{root}.scrollWidth - {root}.clientWidth"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_letters_stand_out_in_light_and_dark(browser: Browser, street: Path, scheme: str) -> None:
    with visiting(browser, color_scheme=scheme) as visit:
        page = visit.open(street)
        text, ground = brightness(page, "color"), brightness(page, "backgroundColor")
        assert (text > ground) == (scheme == "dark")
        assert abs(text - ground) > 500
        assert visit.troubles == []


def brightness(page: Page, what: str) -> int:
    """The sum of red, green and blue, 0 to 765."""
    colour = page.evaluate(f"getComputedStyle(document.body).{what}")
    return sum(map(int, re.findall(r"\d+", colour)[:3]))


def test_everything_that_can_be_pressed_has_a_name(visit: Visit, street: Path) -> None:
    page = visit.open(street, "#image=street/car-1.png")
    expect(page.locator("#viewer")).to_be_visible()
    assert unnamed(page) == []
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).to_be_hidden()
    assert unnamed(page) == []
    assert page.locator("#gallery > li").first.get_attribute("aria-setsize") == "6"
    assert page.locator("#count").get_attribute("role") == "status"


def unnamed(page: Page) -> list[str]:
    """What can be used, and screen readers find no name for."""
    usable = page.locator("button:visible, input:visible, select:visible, a:visible").all()
    assert len(usable) > 5
    return [
        element.evaluate("element => element.outerHTML")
        for element in usable
        if re.match(r"- \w+(:|$)", element.aria_snapshot().splitlines()[0])
    ]


def test_chunks_are_loaded_and_only_tiles_in_sight_are_drawn(visit: Visit, chunked: Path) -> None:
    page = visit.open(chunked)
    expect(page.locator("#count")).to_have_text("60 of 60 images")
    expect(page.locator("#progress")).to_have_text("")
    tiles = page.locator(".tile")
    assert tiles.count() < 60
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(tile(page, "059.png")).to_be_in_viewport()
    assert tiles.count() < 60
    assert page.locator("script[src]").count() == 0  # their text is not kept
    page.locator(".tile img").last.evaluate("image => image.decode()")  # it is there


def test_an_image_of_a_later_chunk_opens_by_its_link(visit: Visit, chunked: Path) -> None:
    page = visit.open(chunked, "#class=dog&image=057.png")
    expect(page.locator("#viewer-name")).to_have_text("057.png")
    expect(page.locator("#viewer-place")).to_have_text("20 of 20")


def test_a_page_without_its_folder_says_what_is_missing(
    troubled_visit: Visit, chunked: Path, tmp_path: Path
) -> None:
    alone = tmp_path / "report.html"
    alone.write_bytes(chunked.read_bytes())
    page = troubled_visit.open(alone)
    line = page.get_by_role("alert")
    expect(line).to_contain_text("lie in the folder “report-data”")
    expect(line).to_contain_text("keep that folder beside this file")
    assert troubled_visit.troubles  # the browser's own


def test_a_damaged_chunk_is_told_and_the_rest_stays(
    troubled_visit: Visit, chunked: Path, tmp_path: Path
) -> None:
    copied = Path(shutil.copytree(chunked.parent, tmp_path / "out")) / chunked.name
    damaged = sorted(copied.parent.glob("report-data/chunk-*.js"))[1]
    damaged.write_text(damaged.read_text()[:-100])
    page = troubled_visit.open(copied)
    expect(page.get_by_role("alert")).to_contain_text("“report-data” is damaged")
    expect(page.locator("#count")).to_have_text("10 of 60 images")


def test_without_javascript_the_summary_is_there_and_the_rest_is_explained(
    browser: Browser, street: Path
) -> None:
    with visiting(browser, java_script_enabled=False) as visit:
        page = visit.open(street)
        expect(page.locator("body")).to_contain_text("need JavaScript")
        expect(page.locator("#summary")).to_contain_text("car")
        expect(page.locator("main")).to_be_hidden()


def test_nothing_but_the_page_s_own_scripts_runs(visit: Visit, street: Path) -> None:
    page = visit.open(street)
    policy = page.locator("meta[http-equiv]").get_attribute("content")
    assert "default-src 'none'" in str(policy)
    assert "unsafe-inline" not in str(policy).split("script-src")[1].split(";")[0]
    injected = "<p onclick='document.title=1'>x"
    page.evaluate("text => document.body.insertAdjacentHTML('beforeend', text)", injected)
    page.locator("body > p").last.dispatch_event("click")
    assert page.title() != "1"
    assert visit.troubles and "Content Security Policy" in visit.troubles.pop()


def test_a_page_without_its_thumbnails_says_so(
    troubled_visit: Visit, chunked: Path, tmp_path: Path
) -> None:
    copied = Path(shutil.copytree(chunked.parent, tmp_path / "out")) / chunked.name
    shutil.rmtree(copied.parent / "report-data" / "thumbnails")
    page = troubled_visit.open(copied)
    expect(page.get_by_role("alert")).to_contain_text("Thumbnails of this page can't be read")
    expect(page.locator("#count")).to_have_text("60 of 60 images")
    expect(page.locator(".tile .box").first).to_be_visible()


def test_of_many_classes_the_largest_are_listed_and_the_rest_is_found_by_name(
    visit: Visit, tmp_path: Path
) -> None:
    box = (100, 200, 450, 700)
    found = [(f"kind {number}", 0.9, box) for number in range(80)]
    out = written_job(tmp_path, {"a.png": [scored(*found)], "b.png": [scored(found[70])]})
    assert command("report", out).code == 0
    page = visit.open(out / "report.html")
    rows = page.locator("#classes li")
    expect(rows).to_have_count(60)
    expect(rows.first).to_have_text("kind 702")  # in two boxes
    expect(page.locator("#classes-more")).to_have_text("and 20 more: find them by name")
    page.get_by_label("Find a class").fill("79")
    expect(rows).to_have_count(1)
    page.get_by_role("checkbox", name="kind 79").check()
    expect(page.locator("#count")).to_have_text("1 of 2 images")
    page.get_by_label("Find a class").fill("")
    expect(rows.first).to_have_text("kind 791")  # what is chosen stays in sight


def test_what_came_before_a_missing_chunk_is_shown(
    troubled_visit: Visit, chunked: Path, tmp_path: Path
) -> None:
    copied = Path(shutil.copytree(chunked.parent, tmp_path / "out")) / chunked.name
    sorted(copied.parent.glob("report-data/chunk-*.js"))[3].unlink()
    page = troubled_visit.open(copied)
    expect(page.get_by_role("alert")).to_contain_text("can't be read")
    expect(page.locator("#count")).to_have_text("30 of 60 images")


def test_texts_that_are_written_from_right_to_left_begin_there(
    visit: Visit, tmp_path: Path
) -> None:
    said = [answer("שלום עולם!", task=CAPTION)]
    out = written_job(tmp_path, {"a.png": said}, [Question(CAPTION)])
    assert command("report", out).code == 0
    page = visit.open(out / "report.html", "#image=a.png")
    expect(page.locator("blockquote")).to_have_css("direction", "rtl")


def test_without_a_ground_truth_nothing_is_offered_about_it(visit: Visit, chunked: Path) -> None:
    page = visit.open(chunked, "#image=000.png")
    expect(page.locator("#viewer")).to_be_visible()
    of_truth = page.locator(".truth-only")
    assert of_truth.count() == 3
    for each in of_truth.all():
        expect(each).to_be_hidden()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    for each in of_truth.all():
        expect(each).to_be_hidden()
