"""The page of a report, read back as a browser does: its data, and its elements."""

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

CALL = re.compile(r"florenceReport\.(begin|chunk)\((.*)\)\n")


@dataclass(frozen=True)
class Page:
    head: Any
    chunks: list[Any]
    html: str
    elements: list[tuple[str, dict[str, str | None]]]
    """Tag and attributes of each."""
    texts: list[str]
    """What stands between the elements, outside of scripts and styles."""

    @property
    def images(self) -> dict[str, Any]:
        """By key."""
        return {image["k"]: image for chunk in self.chunks for image in chunk["images"]}

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    @property
    def links(self) -> list[str]:
        return [str(values["href"]) for tag, values in self.elements if tag == "a"]

    def named(self, box: list[Any]) -> str:
        """The class, or the label, of a box."""
        what = box[4]
        name: str = self.head["classes"][what] if what >= 0 else self.head["labels"][-1 - what]
        return name


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self._within = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._within = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within == "script":
            self.scripts[-1] += data
        elif self._within != "style":
            self.texts.append(data)


def read_page(path: Path) -> Page:
    """The page with all its data. Every script in it is one that its policy lets run."""
    html = path.read_text(encoding="utf-8")
    reader = _Reader()
    reader.feed(html)
    (policy,) = (
        str(values["content"])
        for tag, values in reader.elements
        if tag == "meta" and values.get("http-equiv") == "Content-Security-Policy"
    )
    for script in reader.scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    calls = [match.groups() for script in reader.scripts for match in CALL.finditer(script)]
    assert [name for name, _ in calls] == ["begin", *["chunk"] * (len(calls) - 1)]
    head, *chunks = (json.loads(value) for _, value in calls)
    assert not (chunks and head["chunks"])
    for address in head["chunks"]:
        match = CALL.fullmatch((path.parent / unquote(address)).read_text(encoding="ascii"))
        assert match and match[1] == "chunk"
        chunks.append(json.loads(match[2]))
    firsts = [sum(len(each["images"]) for each in chunks[:place]) for place in range(len(chunks))]
    assert [chunk["first"] for chunk in chunks] == firsts
    assert head["images"] == sum(len(chunk["images"]) for chunk in chunks)
    return Page(head, chunks, html, reader.elements, reader.texts)
