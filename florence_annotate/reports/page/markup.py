"""Texts of others, the names of hostile folders among them, in HTML and in scripts: as text."""

import base64
import hashlib
import html
import json
from typing import Any
from urllib.parse import quote

_IN_SCRIPTS = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})
"""What could end a script, or begin a comment in it. In JSON these stand within texts alone."""


def text(value: object) -> str:
    """For the content of an element, and for the value of an attribute in quotes."""
    return html.escape(str(value), quote=True)


def address(**parameters: str) -> str:
    """A link to the page itself, with a filter."""
    pairs = (f"{name}={quote(value, safe='')}" for name, value in parameters.items())
    return text(f"#{'&'.join(pairs)}")


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
