"""Where class lists are read from: a flag, a file, a preset."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from florence_annotate.classes.class_list import ClassList, ClassSpec
from florence_annotate.errors import UsageError
from florence_annotate.user_files import SMALL, UnreadableFileError, read_text
from florence_annotate.user_yaml import parse_yaml


def parse_names(text: str) -> ClassList:
    """Classes from `person,car`; names that hold a comma go into a file instead."""
    return ClassList(ClassSpec(name.strip()) for name in text.split(","))


def read_file(path: Path) -> ClassList:
    """Classes from a file: one name a line, a `data.yaml`, or YAML with synonyms and prompts.

    Raises UsageError for a file that can't be read, or is in none of these forms.
    """
    try:
        text = read_text(path, SMALL)
        if path.suffix.lower() in (".yaml", ".yml"):
            return from_data(parse_yaml(text), str(path))
    except UnreadableFileError as error:
        raise UsageError(
            f"can't read the class file {path}: {error}; give a file with one name a line, or YAML"
        ) from error
    lines = (line.strip() for line in text.splitlines())
    return ClassList(ClassSpec(line) for line in lines if line)


def from_data(content: Any, where: str) -> ClassList:
    """Classes from what a YAML file holds; `where` names it in errors.

    Understood are a list of names; ultralytics' `names`, as a list or as id → name; and a mapping
    of name → nothing, or name → {synonyms: […], prompt: …}.
    """
    if isinstance(content, Mapping) and "names" in content and not _is_spec(content["names"]):
        content = content["names"]
        if isinstance(content, Mapping):
            ids = list(content)
            if sorted(ids, key=str) != sorted(range(len(ids)), key=str):
                raise UsageError(f"{where}: the ids of `names` must run from 0 without a gap")
            content = [content[class_id] for class_id in range(len(ids))]
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
