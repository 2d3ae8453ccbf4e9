"""Texts of others, the names of hostile folders among them, in HTML and in scripts: as text."""

import base64
import hashlib
import html
import json
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

_IN_SCRIPTS = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})
"""What could end a script, or begin a comment in it. In JSON these stand within texts alone."""
_MOST_ROWS = 200
"""Of a table."""


class Html(str):
    """What is HTML already. Everything else that is put into a page is text."""

    __slots__ = ()


class Cell(Html):
    """A whole cell of a table."""

    __slots__ = ()


def text(value: object) -> Html:
    """For the content of an element, and for the value of an attribute in quotes."""
    return value if isinstance(value, Html) else Html(html.escape(str(value), quote=True))


def address(**parameters: str) -> Html:
    """A link to the page itself, with a filter."""
    pairs = (
        f"{name}={quote(value, safe='', errors='replace')}" for name, value in parameters.items()
    )
    return text(f"#{'&'.join(pairs)}")


def link(content: object, **parameters: str) -> Html:
    """A text that leads to the images of a filter."""
    return Html(f'<a href="{address(**parameters)}">{text(content)}</a>')


def number(value: int | float | None, digits: int = 3) -> Html:
    """A count, or a figure of so many digits; a dash where there is none."""
    if value is None:
        return Html("–")
    return Html(f"{value:,}" if isinstance(value, int) else f"{value:.{digits}f}")


def table(head: Sequence[object], rows: Iterable[Sequence[object]], kind: str = "") -> Html:
    """A table of words and numbers; of long ones the first rows.

    Without a head where its entries are empty.
    """
    rows = list(rows)
    heads = "".join(f'<th scope="col">{text(name)}</th>' for name in head)
    top = f"<thead><tr>{heads}</tr></thead>" if any(head) else ""
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows[:_MOST_ROWS])
    more = f"<p>and {len(rows) - _MOST_ROWS:,} more</p>" if len(rows) > _MOST_ROWS else ""
    classes = f"figures {kind}".strip()
    return Html(f'<table class="{classes}">{top}<tbody>{body}</tbody></table>{more}')


def _cell(value: object) -> str:
    if isinstance(value, Cell):
        return value
    if value is None or isinstance(value, int | float):
        return figure_cell(value, 3)
    return f"<td>{text(value)}</td>"


def figure_cell(value: float | None, digits: int) -> Cell:
    return Cell(f'<td class="number">{number(value, digits)}</td>')


def section(name: str, title: str, *content: str) -> Html:
    """A part of the summary; nothing where it has no content."""
    whole = "".join(content)
    if not whole:
        return Html("")
    return Html(f'<section id="summary-{name}"><h2>{text(title)}</h2>{whole}</section>')


def notes(lines: Iterable[object]) -> Html:
    items = "".join(f"<li>{text(line)}</li>" for line in lines)
    return Html(f'<ul class="notes">{items}</ul>' if items else "")


def call(function: str, value: Any) -> str:
    """A line of JavaScript that hands a JSON value to a function of the page; all ASCII."""
    content = json.dumps(value, separators=(",", ":")).translate(_IN_SCRIPTS)
    return f"florenceReport.{function}({content})\n"


def script(content: str) -> tuple[str, str]:
    """An inline script, and its `digest`."""
    return f"<script>{content}</script>\n", digest(content)


def digest(content: str) -> str:
    """What a Content-Security-Policy calls an inline script of this content
    (https://www.w3.org/TR/CSP3/#grammardef-hash-source)."""
    hashed = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(hashed).decode()}'"
