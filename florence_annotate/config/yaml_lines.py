"""Which lines of a YAML text belong to which entry of a mapping."""

from collections.abc import Sequence
from dataclasses import dataclass

import yaml

_BREAKS = "\r\x85\u2028\u2029"
"""What YAML takes for the end of a line beside a newline."""


@dataclass(frozen=True, slots=True)
class EntryLines:
    """Where an entry stands; numbers of lines, from 0."""

    above: int
    """The first line of what stands between the entry before and this one: comments."""
    start: int
    end: int
    """The line behind its last one."""
    column: int
    """By how many spaces its lines are indented."""
    value: yaml.Node


def lines_of(text: str) -> list[str]:
    """The lines of a text, each with its newline. Raises ValueError where YAML counts others."""
    if any(mark in text for mark in _BREAKS):
        raise ValueError("lines end in several ways")
    return [f"{line}\n" for line in text.removesuffix("\n").split("\n")]


def entries_of(lines: Sequence[str], mapping: yaml.Node | None, above: int) -> list[EntryLines]:
    """The lines of each entry of a mapping that follows upon line `above`.

    Raises ValueError where they don't have lines of their own: in brackets, with a key that is
    marked as one, and for text whose end is told by what comes behind it.
    """
    if not isinstance(mapping, yaml.MappingNode) or mapping.flow_style:
        raise ValueError("it has no line for each of its entries")
    found = []
    for key, value in mapping.value:
        start, column = key.start_mark.line, key.start_mark.column
        if start < above or lines[start][:column].strip():
            raise ValueError("an entry begins within a line")
        end = 1 + _last_line(value)
        found.append(EntryLines(above, start, end, column, value))
        above = end
    return found


def _last_line(node: yaml.Node) -> int:
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(node, yaml.MappingNode) else last
    if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):
        raise ValueError("a text has lines of its own")
    return int(node.end_mark.line)


def dedented(lines: Sequence[str], column: int) -> str:
    """Lines without so many spaces before each. Raises ValueError for one that has fewer."""
    if any(line[:column].strip() for line in lines):
        raise ValueError("a line is less indented than its entry")
    return "".join(line[column:] or "\n" for line in lines)


def indented(text: str, column: int) -> str:
    """A text with so many spaces before each of its lines."""
    return "".join(" " * column + line for line in text.splitlines(keepends=True))
