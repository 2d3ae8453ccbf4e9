"""A YAML file that people edit, changed value by value: all else in it stays as they wrote it.

The text around a value that changes is left alone, so that comments, empty lines and the order of
the keys stay. Of a mapping or a list with one entry a line, an entry is moved, taken out or put in
with the comment beside it and those above it.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import yaml

from florence_annotate.user_yaml import read_document

_PLAIN = re.compile(r"[^\W\d_]\w*(?:[ -]\w+)*")
"""Text that no reader takes for anything else, but for these words."""
_NO_TEXT = frozenset(
    ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "inf", "nan", "infinity"]
)
_LONGEST_KEY = 1000
"""Characters; of a longer one YAML wants a mark before it, that it is a key."""
_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_COLON = re.compile(r"[ \t]*:")
_END = re.compile(r"^\.\.\.", re.MULTILINE)
"""A mark behind which another document may come."""
_ONLY_COMMENT = re.compile(r"[ \t]*(#.*)?")


def spelled(value: Any) -> str:
    """A value on one line, as every reader of YAML reads it, whatever the version.

    Text is quoted where there is any doubt.
    """
    if isinstance(value, str):
        return _spelled_text(value)
    if isinstance(value, Mapping):
        pairs = (f"{_spelled_key(key)}: {spelled(each)}" for key, each in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, Sequence):
        return f"[{', '.join(map(spelled, value))}]"
    text = json.dumps(value, default=str)
    # YAML 1.1 reads 1e-05 as text
    return text.replace("e", ".0e") if isinstance(value, float) and "." not in text else text


def _spelled_key(key: Any) -> str:
    name = spelled(key)
    return name if len(name) <= _LONGEST_KEY else f"? {name} "


def _spelled_text(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.isprintable() and text.lower() not in _NO_TEXT:
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(map(_escaped, quoted)) if not quoted.isprintable() else quoted


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


@dataclass(frozen=True, slots=True)
class _Entry:
    """A key with its value, or an item of a list; places are counted in characters."""

    name: Any
    start: int
    """Of its first line."""
    colon: int | None
    """Behind it; None where there is none on the key's line."""
    value: yaml.Node
    end: int
    """Of its last line, without the break."""


class EditedYaml:
    """The text of a mapping, with changes."""

    def __init__(self, text: str) -> None:
        """Raises UnreadableFileError for what is no YAML."""
        document = read_document(text)
        self.is_changed = not _is_in_plain_lines(text, document.root)
        if self.is_changed:
            # such as {a: 1, b: 2}: it is written with a line for each key
            text = "".join(f"{_line(key, each, '')}\n" for key, each in document.content.items())
            document = read_document(text)
        self.content = document.content
        """What it holds; None for nothing."""
        self._text = text
        self._break = "\r\n" if "\r\n" in text else "\n"
        self._added: list[str] = []
        self._changes: list[tuple[int, int, str]] = []
        """Start and end of a piece of the text, and what takes its place."""
        self._entries: dict[Any, _Entry] = {}
        if isinstance(document.root, yaml.MappingNode):
            self._entries = {each.name: each for each in _entries_of(text, document.root)}
        elif self.content is None and document.root is not None and document.root.value:
            self._text = ""  # the word null

    def line_of(self, key: Any) -> int:
        """The number of the line on which a key stands."""
        entry = self._entries.get(str(key))
        return 1 + (len(_BREAK.findall(self._text, 0, entry.start)) if entry else 0)

    def set(self, key: str, value: Any, above: str = "") -> None:
        """Give a key another value; one that is not there comes last, with these lines above it."""
        self.is_changed = True
        entry = self._entries.get(key)
        if entry is None:
            self._added += [f"{above}\n"] if above else []
            self._added.append(f"{_line(key, value, '')}\n")
        elif _is_block(value):
            self._changes.append((entry.start, entry.end, self._with_lines(entry, value)))
        else:
            self._changes.append((entry.start, entry.end, self._with_value(entry, value)))

    def text(self) -> str:
        """The text with all changes."""
        if not self.is_changed:
            return self._text
        pieces, place = [], 0
        for start, end, changed in sorted(self._changes):
            pieces += [self._text[place:start], self._broken(changed)]
            place = end
        last = max((entry.end for entry in self._entries.values()), default=0)
        ended = _END.search(self._text, last)
        tail = ended.start() if ended else len(self._text)
        pieces.append(self._text[place:tail])
        before = "".join(pieces)
        added = self._broken("".join(self._added))
        if added and before and not before.endswith(("\n", "\r")):
            before += self._break
        return before + added + self._text[tail:]

    def _broken(self, text: str) -> str:
        """A text with the breaks of the file's own lines."""
        return text.replace("\r\n", "\n").replace("\n", self._break)

    def _with_value(self, entry: _Entry, value: Any) -> str:
        """The lines of an entry with a value that needs one line."""
        text, node = self._text, entry.value
        new = "" if value is None else spelled(value)
        head, behind = text[entry.start : entry.colon], self._behind(entry)
        between = "" if _is_in_lines(node) else text[entry.colon : node.start_mark.index]
        if not between.strip() and not new:
            return f"{head}{behind}"
        return f"{head}{between or ' '}{new}{behind}".rstrip()

    def _with_lines(self, entry: _Entry, value: Mapping[str, Any]) -> str:
        """The lines of an entry whose value has a line for each of its own entries."""
        first = self._text[entry.start : entry.colon] + self._behind(entry)
        return "\n".join([first, *self._moved(entry, value)])

    def _behind(self, entry: _Entry) -> str:
        """The comment beside a value, with the space before it."""
        start = entry.colon if _is_in_lines(entry.value) else _end_of(self._text, entry.value)
        assert start is not None  # such a file is written anew
        rest = self._text[start : _end_of_line(self._text, start)]
        return rest if _ONLY_COMMENT.fullmatch(rest) else ""

    def _moved(self, entry: _Entry, value: Mapping[str, Any]) -> Iterator[str]:
        """A piece for each entry of a mapping: what was there, as it stood, or a new line."""
        node, text = entry.value, self._text
        found: dict[Any, tuple[str, _Entry]] = {}
        indent = "  "
        if _is_in_lines(node):
            entries = list(_entries_of(text, node))
            are_items = isinstance(node, yaml.SequenceNode)
            if are_items and any(each is not None for each in value.values()):
                entries = []  # a list has no place for more than names
            place = _end_of_line(text, entry.colon or 0)
            for each in entries:
                begin = _behind_break(text, place)
                found[each.name] = (text[begin : each.start], each)
                line = text[each.start : each.end]
                indent = line[: len(line) - len(line.lstrip(" "))]
                place = each.end
        old = self.content[entry.name]
        is_list = isinstance(node, yaml.SequenceNode) and bool(found)
        for name, wanted in value.items():
            if name not in found:
                yield f"{indent}- {spelled(name)}" if is_list else _line(name, wanted, indent)
                continue
            above, each = found[name]
            if is_list or old[name] == wanted:
                yield above + text[each.start : each.end]
            elif each.colon is None:
                yield above + _line(name, wanted, indent)
            else:
                yield above + self._with_value(each, wanted)


def _is_in_plain_lines(text: str, root: yaml.Node | None) -> bool:
    """Whether each key of a mapping stands on a line of its own; true for what is no mapping."""
    if not isinstance(root, yaml.MappingNode):
        return True
    return _is_in_lines(root) and all(each.colon for each in _entries_of(text, root))


def _entries_of(text: str, node: yaml.CollectionNode) -> Iterator[_Entry]:
    """The entries of a mapping, or those of a list that are plain."""
    for each in node.value:
        key, value = each if isinstance(each, tuple) else (each, each)
        start = key.start_mark.index - key.start_mark.column
        end = _end_of_line(text, max(_end_of(text, value), _end_of(text, key)))
        is_alone = not text[start : key.start_mark.index].strip()
        colon = _COLON.match(text, key.end_mark.index) if is_alone else None
        name = key.value if isinstance(key, yaml.ScalarNode) else None
        yield _Entry(name, start, colon and colon.end(), value, end)


def _is_in_lines(node: yaml.Node) -> TypeGuard[yaml.CollectionNode]:
    """Whether it is a mapping or a list with a line for each entry."""
    return isinstance(node, yaml.CollectionNode) and not node.flow_style


def _is_block(value: Any) -> bool:
    """Whether a value is written with a line for each of its entries."""
    return isinstance(value, dict) and any(isinstance(v, dict | None) for v in value.values())


def _line(key: str, value: Any, indent: str) -> str:
    """A new entry, in one line where it needs no more."""
    name = spelled(key)
    head = f"{indent}{name}:" if len(name) <= _LONGEST_KEY else f"{indent}? {name}\n{indent}:"
    if _is_block(value):
        return "\n".join(
            [head, *(_line(name, each, f"{indent}  ") for name, each in value.items())]
        )
    return head if value is None else f"{head} {spelled(value)}"


def _end_of(text: str, node: yaml.Node) -> int:
    """Where what a node says ends, without the comments and empty lines behind it."""
    if _is_in_lines(node) and node.value:
        last = node.value[-1]
        return _end_of(text, last[1] if isinstance(last, tuple) else last)
    end: int = node.end_mark.index
    while end > node.start_mark.index and text[end - 1] in "\r\n\x85\u2028\u2029":
        end -= 1
    return end


def _end_of_line(text: str, place: int) -> int:
    found = _BREAK.search(text, place)
    return found.start() if found else len(text)


def _behind_break(text: str, place: int) -> int:
    found = _BREAK.match(text, place)
    return found.end() if found else place
