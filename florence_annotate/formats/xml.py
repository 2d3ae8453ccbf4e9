"""XML as all formats write it: what may stand in it, escaped."""

import re
from xml.sax import saxutils

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no spelling for (https://www.w3.org/TR/xml/#charsets)."""
_SPECIAL = re.compile("[^ !#-%(-;=?-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What may have to be spelled in another way: that, white space, and `&`, `<`, `>`, quotes."""

DECLARATION = '<?xml version="1.0" encoding="utf-8"?>\n'


def text(value: str) -> str:
    """A value between tags; U+FFFD for what XML can't hold."""
    if _SPECIAL.search(value) is None:
        return value
    return saxutils.escape(_FORBIDDEN.sub("\ufffd", value), {"\r": "&#13;"})


def element(name: str, value: object) -> str:
    return f"<{name}>{text(str(value))}</{name}>"


def attributes(values: dict[str, object]) -> str:
    """` name="value"` for each, in their order."""
    return "".join([f" {name}={quoted(str(value))}" for name, value in values.items()])


def quoted(value: str) -> str:
    """An attribute's value with the quotes around it."""
    if _SPECIAL.search(value) is None:
        return f'"{value}"'
    return saxutils.quoteattr(_FORBIDDEN.sub("\ufffd", value))
