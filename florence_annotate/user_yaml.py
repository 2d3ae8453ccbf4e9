"""YAML that people give: plain values alone.

An alias stands for a value from elsewhere in the file; a few lines of aliases of aliases stand for
billions of values.
"""

from dataclasses import dataclass
from typing import Any

import yaml

from florence_annotate.user_files import DEEPEST, UnreadableFileError, too_deep

try:
    from yaml import CSafeLoader as _Parser  # ten times as fast
except ImportError:  # PyYAML was built without libyaml
    from yaml import SafeLoader as _Parser  # type: ignore[assignment]


class _Loader(_Parser):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Of a key that is there twice, the last would count without a word."""
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    problem = f"the key {key.value!r} is there twice"
                    raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
                seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML text, read."""

    content: Any
    root: yaml.Node | None
    """Where in the text all of that stands; None for a text that holds nothing."""

    def line_of(self, key: Any) -> int:
        """The number of the line on which a key of its mapping stands."""
        pairs = self.root.value if isinstance(self.root, yaml.MappingNode) else ()
        starts = (name.start_mark.line for name, _ in pairs)
        lines: dict[Any, int] = dict(zip(self.content or (), starts, strict=False))
        return 1 + lines.get(key, 0)


def parse_yaml(text: str) -> Any:
    """What a YAML text holds.

    Raises UnreadableFileError for what is none, is nested too deep, or holds an alias.
    """
    return read_document(text).content


def read_document(text: str) -> Document:
    """What a YAML text holds, and where. Raises UnreadableFileError as `parse_yaml`."""
    try:
        _refuse_hostile(text)
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            content = None if root is None else loader.construct_document(root)
        finally:
            loader.dispose()
    except UnreadableFileError:
        raise
    except Exception as error:  # a tag that does not fit its value raises whatever it comes upon
        problem = " ".join(str(error).split()).replace(' in "<unicode string>"', "")
        raise UnreadableFileError("no-yaml", f"it is not valid YAML: {problem}") from error
    return Document(content, root)


def _refuse_hostile(text: str) -> None:
    """Raise UnreadableFileError or YAMLError for depth, which ends the process where it is
    composed, and for an alias."""
    depth = 0
    for event in yaml.parse(text, _Parser):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                raise too_deep()
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.AliasEvent):
            raise yaml.MarkedYAMLError(
                problem="an alias is not read here: write out what it stands for",
                problem_mark=event.start_mark,  # type: ignore[arg-type]
            )
