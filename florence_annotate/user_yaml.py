"""YAML that people give: plain values alone.

An alias stands for a value from elsewhere in the file; a few lines of aliases of aliases stand for
billions of values.
"""

from typing import Any

import yaml

from florence_annotate.user_files import UnreadableFileError, refuse_deep, too_deep


class _Loader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            alias = self.peek_event()  # type: ignore[no-untyped-call]
            problem = "an alias is not read here: write out what it stands for"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=alias.start_mark)
        return super().compose_node(parent, index)

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


def parse_yaml(text: str) -> Any:
    """What a YAML text holds.

    Raises UnreadableFileError for what is none, is nested too deep, or holds an alias.
    """
    try:
        content = yaml.load(text, _Loader)
    except RecursionError as error:
        raise too_deep() from error
    except Exception as error:  # a tag that does not fit its value raises whatever it comes upon
        problem = " ".join(str(error).split())
        raise UnreadableFileError("no-yaml", f"it is not valid YAML: {problem}") from error
    return refuse_deep(content)
