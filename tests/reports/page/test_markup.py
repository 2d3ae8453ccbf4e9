"""Texts of others stay text, wherever on the page they stand."""

import json

from florence_annotate.reports.page.markup import address, call, link, table, text

HOSTILE = "</script><img src=x onerror='alert(1)'>\"&\u2028<!--\ud800"


def test_no_value_ends_its_script() -> None:
    line = call("chunk", {HOSTILE: HOSTILE})
    assert line.isascii() and not {"<", ">", "&"} & set(line)
    content = line.removeprefix("florenceReport.chunk(").removesuffix(")\n")
    assert json.loads(content) == {HOSTILE: HOSTILE}


def test_texts_become_no_elements_and_end_no_attribute() -> None:
    for made in (text(HOSTILE), link(HOSTILE, image=HOSTILE), table([HOSTILE], [[HOSTILE]])):
        assert "<img" not in made and "<!--" not in made and '"&' not in made


def test_an_address_keeps_every_character() -> None:
    assert address(text="a&b=c/d #%") == "#text=a%26b%3Dc%2Fd%20%23%25"
    assert address(image="ü.jpg", show="empty") == "#image=%C3%BC.jpg&amp;show=empty"


def test_long_tables_say_how_much_they_leave_out() -> None:
    whole = table(["n"], [[n] for n in range(1203)])
    assert whole.count("<tr>") == 201 and "and 1,003 more" in whole
    assert '<td class="number">199</td>' in whole and "<td>199" not in whole
