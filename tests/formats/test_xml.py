"""What may stand in XML, and what is written for the rest."""

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from florence_annotate.formats import xml


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_every_text_is_read_back_but_for_what_xml_has_no_spelling_for(value: str) -> None:
    written = f"<a{xml.attributes({'b': value})}>{xml.text(value)}</a>"
    read = ElementTree.fromstring(xml.DECLARATION + written)
    wanted = xml._FORBIDDEN.sub("\ufffd", value)
    assert read.get("b") == wanted
    assert (read.text or "") == wanted


def test_what_is_plain_is_written_as_it_is() -> None:
    assert xml.element("a", "x 1.5; y") == "<a>x 1.5; y</a>"
    assert xml.attributes({"a": 1, "b": "é"}) == ' a="1" b="é"'
    assert xml.quoted('"') == "'\"'"
