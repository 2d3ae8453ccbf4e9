"""The page around the data: its HTML, style and script, which `assets/` holds."""

import re
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files

SCRIPTS = (
    *("address.js", "store.js", "matching.js", "loading.js", "drawing.js", "filters.js"),
    *("gallery.js", "zoom.js", "viewer.js", "main.js"),
)
"""In the order in which they run."""
STYLES = ("page.css", "images.css")
GENERATOR = '<meta name="generator" content="florence-annotate report">'
"""Stands at the beginning of every page, by which a page of ours is known."""
_PLACE = re.compile(r"\{\{(\w+)\}\}")


def style() -> str:
    return "\n".join(map(_asset, STYLES))


def script() -> str:
    return "\n".join(map(_asset, SCRIPTS))


def fill(parts: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """The page in pieces; what is put into its places is never looked at for further ones."""
    pieces = _PLACE.split(_asset("page.html"))
    for place, piece in enumerate(pieces):
        if place % 2:
            yield from parts[piece]
        else:
            yield piece


def _asset(name: str) -> str:
    return files(__package__).joinpath("assets", name).read_text(encoding="utf-8")
