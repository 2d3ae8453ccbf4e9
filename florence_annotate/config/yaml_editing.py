"""A YAML file that people edit, changed value by value: comments and the order of the keys stay.

Entries that stay keep their lines, as far as they have lines of their own (`yaml_lines`); of the
others, ruamel.yaml makes nodes of the text, which keep how each value is spelled, and writes them.
It takes 0.15 ms for each entry, which of ten thousand classes is seconds. What stands between two
entries ruamel hangs behind the first of them; here it goes with the second.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import CommentMark
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.tokens import CommentToken

from florence_annotate.config.yaml_lines import (
    EntryLines,
    dedented,
    entries_of,
    indented,
    lines_of,
)
from florence_annotate.user_yaml import parse_yaml, read_document

_PLAIN = re.compile(r"[^\W\d_]\w*(?:[ -]\w+)*")
"""Text that no reader takes for anything else, but for these words."""
_NO_TEXT = frozenset(
    ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "inf", "nan", "infinity"]
)
_BEGIN = re.compile(r"(?:[ \t]*(?:[#%].*)?\n)*---(?=\s)")
"""A document's mark of its beginning; what stands above it ruamel leaves out."""
_TAG = "tag:yaml.org,2002:"


def edited(text: str, changes: Mapping[str, Any], above: Mapping[str, str]) -> str:
    """The text of a mapping, with other values for some keys; new ones come last.

    `above` has the lines that go above new keys. Text that ruamel can't read, as PyYAML can, is
    written anew, without its comments. Raises UnreadableFileError for what is no YAML.
    """
    content = parse_yaml(text) or {}
    wanted = {**content, **changes}
    before = text.replace("\r\n", "\n")
    for edit in (_edited_by_lines, _edited):
        with suppress(Exception):  # ruamel raises whatever it comes upon
            found = edit(before, content, changes, above)
            if parse_yaml(found) == wanted:
                break
    else:
        found = _edited("", {}, wanted, above)
    return found.replace("\n", "\r\n") if "\r\n" in text else found


def spelled(value: Any) -> str:
    """A value on one line, as every reader of YAML reads it, whatever the version.

    Text is quoted where there is any doubt.
    """
    node = _node(value)
    if isinstance(node, CollectionNode):
        node.flow_style = True
    return _written(YAML(), node).removesuffix("\n").removesuffix("\n...")


def _edited_by_lines(
    text: str, content: Mapping[Any, Any], changes: Mapping[Any, Any], above: Mapping[Any, str]
) -> str:
    """As `_edited`, but for the lines of what stays. Raises ValueError for a text whose lines don't
    tell what belongs to what."""
    lines = lines_of(text)
    entries = entries_of(lines, read_document(text).root, 0)
    parts = []
    for (name, before), entry in zip(content.items(), entries, strict=True):
        parts += lines[entry.above : entry.start]
        if name in changes:
            parts.append(_changed_by_lines(lines, entry, name, before, changes[name]))
        else:
            parts += lines[entry.start : entry.end]
    below = lines[entries[-1].end :]
    if any(line.startswith("...") for line in below):
        raise ValueError("the document ends before the text")
    added = {name: value for name, value in changes.items() if name not in content}
    return "".join(parts + below) + _new(added, above)


def _changed_by_lines(
    lines: Sequence[str], entry: EntryLines, name: Any, before: Any, value: Any
) -> str:
    """The lines of an entry with another value; those of its own entries that stay are the same."""
    if not (_is_for_lines(value) and isinstance(before, dict) and before):
        text = dedented(lines[entry.start : entry.end], entry.column)
        return indented(_edited(text, {name: before}, {name: value}, {}), entry.column)
    inside = entries_of(lines, entry.value, entry.start + 1)
    column = inside[0].column
    known = dict(zip(before, inside, strict=True))
    parts = [lines[entry.start]]
    added: dict[Any, Any] = {}
    for each, wanted in value.items():
        if each not in known:
            added[each] = wanted
            continue
        parts.append(indented(_new(added, {}), column))
        added = {}
        own = known[each]
        parts += lines[own.above : own.start]
        if before[each] == wanted:
            parts += lines[own.start : own.end]
        else:
            parts.append(_changed_by_lines(lines, own, each, before[each], wanted))
    return "".join(parts) + indented(_new(added, {}), column)


def _new(entries: Mapping[Any, Any], above: Mapping[Any, str]) -> str:
    """The lines of entries that were not there."""
    return _edited("", {}, entries, above) if entries else ""


def _edited(
    text: str, content: Mapping[Any, Any], changes: Mapping[Any, Any], above: Mapping[Any, str]
) -> str:
    lines = text.expandtabs()  # ruamel refuses a tab outside of text
    begin = _BEGIN.match(lines)
    start, lines = (f"{begin[0]}\n", lines[begin.end() :]) if begin else ("", lines)
    editor = YAML()
    root = editor.compose(lines)
    if root is None and lines.strip():
        start += f"{lines.rstrip()}\n"  # nothing but comments
    if not isinstance(root, MappingNode):
        root = MappingNode(f"{_TAG}map", [])
    _indent_as(root, editor)
    below = _hang_above(root.value)
    for index, (key, node) in enumerate(root.value):
        if key.value in changes:
            changed = _changed(node, content[key.value], changes[key.value])
            root.value[index] = key, changed
    for name, value in changes.items():
        if name not in content:
            root.value.append((_node(name), _node(value)))
            _hang_above(root.value[-1:], [*below, *_tokens(above.get(name, ""))])
            below = []
    root.flow_style = False
    return start + _written(editor, root) + "".join(token.value for token in below)


def _indent_as(root: MappingNode, editor: YAML) -> None:
    """Let an editor indent as a file does."""
    for node in (node for _, node in root.value if _is_in_lines(node)):
        indent = node.start_mark.column
        if isinstance(node, MappingNode):
            editor.map_indent = indent
        else:
            editor.sequence_indent, editor.sequence_dash_offset = indent + 2, indent


def _written(editor: YAML, node: Node) -> str:
    editor.width = 1 << 30  # no line is broken
    stream = StringIO()
    editor.serialize(node, stream)
    return stream.getvalue()


def _node(value: Any) -> Node:
    """A value as it is to be written; a mapping of mappings has a line for each entry."""
    if isinstance(value, dict):
        entries = [(_node(key), _node(each)) for key, each in value.items()]
        return MappingNode(f"{_TAG}map", entries, flow_style=not _is_for_lines(value))
    if isinstance(value, list):
        return SequenceNode(f"{_TAG}seq", [_node(each) for each in value], flow_style=True)
    if value is None:
        return ScalarNode(f"{_TAG}null", "")
    if isinstance(value, int | float):
        text = json.dumps(value)
        if isinstance(value, float) and "." not in text:
            text = text.replace("e", ".0e")  # YAML 1.1 reads 1e-05 as text
        return ScalarNode(f"{_TAG}{type(value).__name__}", text)
    text = str(value)
    is_plain = _PLAIN.fullmatch(text) and text.isprintable() and text.lower() not in _NO_TEXT
    return ScalarNode(f"{_TAG}str", text, style=None if is_plain else '"')


def _is_for_lines(value: Any) -> bool:
    """Whether a value is to have a line for each of its entries."""
    return isinstance(value, dict) and any(isinstance(one, dict | None) for one in value.values())


def _is_in_lines(node: Node) -> bool:
    """Whether it has a line for each of its entries."""
    return isinstance(node, CollectionNode) and not node.flow_style and bool(node.value)


def _changed(old: Node, before: Any, value: Any) -> Node:
    """What takes the place of a node: the comment beside it stays, and entries keep theirs."""
    new, inside = _node(value), _cut(old)
    beside, above = _comments(old)[:2]
    new.comment = [beside, None]
    if _is_in_lines(old) and _is_in_lines(new):
        if isinstance(old, SequenceNode):
            old.value, before = [_as_entry(name) for name in old.value], dict.fromkeys(before)
        _hang_above(old.value, [*inside, *(above or [])])
        entries = {key.value: (key, node) for key, node in old.value}
        for index, (name, wanted) in enumerate(value.items()):
            if name in entries:
                key, node = entries[name]
                stays = before[name] == wanted
                new.value[index] = key, node if stays else _changed(node, before[name], wanted)
    return new


def _as_entry(name: Node) -> tuple[Node, Node]:
    """An item of a list as an entry without a value."""
    nothing = _node(None)
    nothing.comment, name.comment = name.comment, None
    return name, nothing


def _hang_above(
    entries: Iterable[tuple[Node, Node]], below: Iterable[CommentToken] = ()
) -> list[CommentToken]:
    """Hang what stands between two entries at the second, and return what stands below the last.

    At the first hangs what stands `below` what comes before.
    """
    for key, node in entries:
        key.comment = [None, [*below, *(_comments(key)[1] or [])]]
        while _is_in_lines(node):
            node = node.value[-1][1] if isinstance(node, MappingNode) else node.value[-1]
        below = _cut(node)
    return [*below]


def _cut(node: Node) -> list[CommentToken]:
    """Take away what stands below a node in the comment beside it, and return it."""
    token = _comments(node)[0]
    if token is None:
        return []
    is_text_in_lines = isinstance(node, ScalarNode) and node.style in ("|", ">")
    beside, _, below = ("\n" * is_text_in_lines + token.value).partition("\n")
    node.comment[0] = CommentToken(f"{beside}\n", token.start_mark, None) if beside else None
    return _tokens(below)


def _comments(node: Node) -> list[Any]:
    """Those that ruamel has of a node: the one beside it, and those above it."""
    comments: list[Any] = node.comment or [None, None]
    node.comment = comments
    return comments


def _tokens(lines: str) -> list[CommentToken]:
    return [CommentToken(lines, CommentMark(0), None)] if lines else []
