"""Where class lists are read from: a flag, a file, a preset."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from florence_annotate.classes.class_list import ClassList, ClassSpec
from florence_annotate.errors import UsageError


class _Loader(yaml.SafeLoader):
    """YAML of which no key is there twice: of two, the last would count without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    problem = f"the key {key.value!r} is there twice"
                    raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
                seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)


def parse_names(text: str) -> ClassList:
    """Classes from `person,car`; names that hold a comma go into a file instead."""
    return ClassList(ClassSpec(name.strip()) for name in text.split(","))


def read_file(path: Path) -> ClassList:
    """Classes from a file: one name a line, a `data.yaml`, or YAML with synonyms and prompts.

    Raises UsageError for a file that is not there, not UTF-8, or in none of these forms.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"can't read the class file {path}: {error}") from error
    if path.suffix.lower() not in (".yaml", ".yml"):
        lines = (line.strip() for line in text.splitlines())
        return ClassList(ClassSpec(line) for line in lines if line)
    try:
        content = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split())
        raise UsageError(f"the class file {path} is not valid YAML: {problem}") from error
    return from_data(content, str(path))


def from_data(content: Any, where: str) -> ClassList:
    """Classes from what a YAML file holds; `where` names it in errors.

    Understood are a list of names; ultralytics' `names`, as a list or as id → name; and a mapping
    of name → nothing, or name → {synonyms: […], prompt: …}.
    """
    if isinstance(content, Mapping) and "names" in content and not _is_spec(content["names"]):
        content = content["names"]
        if isinstance(content, Mapping):
            ids = [_as_id(key) for key in content]
            if sorted(ids, key=str) != sorted(range(len(ids)), key=str):
                raise UsageError(f"{where}: the ids of `names` must run from 0 without a gap")
            by_id = dict(zip(ids, content.values(), strict=True))
            content = [by_id[class_id] for class_id in range(len(ids))]
    if isinstance(content, list):
        return ClassList(ClassSpec(_as_name(name, where)) for name in content)
    if isinstance(content, Mapping):
        return ClassList(
            _read_spec(_as_name(name, where), spec, where) for name, spec in content.items()
        )
    raise UsageError(
        f"{where}: expected a list of classes, a data.yaml with `names`, "
        "or `name: {synonyms: […], prompt: …}`"
    )


def _is_spec(value: Any) -> bool:
    return value is None or (isinstance(value, Mapping) and bool({"synonyms", "prompt"} & {*value}))


def _as_id(key: Any) -> Any:
    """A class id; some programs write it in quotes, as JSON has to."""
    is_number = isinstance(key, str) and re.fullmatch(r"[0-9]{1,9}", key)
    return int(key) if is_number else key


def _as_name(value: Any, where: str) -> str:
    if isinstance(value, str):
        return value
    raise UsageError(f"{where}: the class name {value!r} is no text: put it in quotes")


def _read_spec(name: str, spec: Any, where: str) -> ClassSpec:
    if spec is None:
        return ClassSpec(name)
    if not isinstance(spec, Mapping) or set(spec) - {"synonyms", "prompt"}:
        raise UsageError(f"{where}: class {name!r} may have `synonyms` and `prompt`, nothing else")
    synonyms = spec.get("synonyms") or []
    if not isinstance(synonyms, list):
        raise UsageError(f"{where}: the synonyms of {name!r} must be a list, as in [sedan, suv]")
    prompt = spec.get("prompt")
    return ClassSpec(
        name,
        tuple(_as_name(synonym, where) for synonym in synonyms),
        None if prompt is None else _as_name(prompt, where),
    )
