"""Where class lists are read from: a flag, a file, a preset."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from florence_annotate.classes.class_list import ClassList, ClassSpec
from florence_annotate.errors import UsageError
from florence_annotate.user_files import SMALL, UnreadableFileError, read_text
from florence_annotate.user_yaml import parse_yaml


def parse_names(text: str) -> ClassList:
    """Classes from `person,car`; names that hold a comma go into a file instead.

    Raises UsageError, also for what looks like YAML or JSON.
    """
    return ClassList(ClassSpec(_plain_name(name, "--classes")) for name in text.split(","))


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
    return _read_lines(text, path)


def _read_lines(text: str, path: Path) -> ClassList:
    """One name a line; empty lines and comments count nothing."""
    lines = (line.strip() for line in text.splitlines())
    named = [line for line in lines if line and not line.startswith("#")]
    return ClassList(ClassSpec(_plain_name(name, str(path))) for name in named)


def _plain_name(name: str, where: str) -> str:
    """A name that is meant as one. What other tools write beside names is refused."""
    name = name.strip()
    if name.startswith(("[", "{")) or name.endswith(("]", "}")):
        raise UsageError(
            f"{where}: {name!r} looks like a part of a list: write plain names, or give the list "
            "in a file that ends in .yaml, with --classes-file"
        )
    if "=" in name:
        other, _, own = name.partition("=")
        raise UsageError(
            f"{where}: {name!r} is no class name: what a class is asked for goes into a YAML file, "
            f"as `{own.strip()}: {{prompt: {other.strip()}}}`, with --classes-file"
        )
    return name


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


_LIMITS = {"min_score": (0, 1), "min_area": (0, math.inf), "max_area": (0, 1)}
"""Thresholds that a class may have of its own, with their bounds."""
_KEYS = {"synonyms", "prompt", *_LIMITS}


def _is_spec(value: Any) -> bool:
    return value is None or (isinstance(value, Mapping) and bool(_KEYS & {*value}))


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
    if not isinstance(spec, Mapping) or set(spec) - _KEYS:
        raise UsageError(
            f"{where}: class {name!r} may have {', '.join(sorted(_KEYS))}, nothing else"
        )
    synonyms = spec.get("synonyms") or []
    if not isinstance(synonyms, list):
        raise UsageError(f"{where}: the synonyms of {name!r} must be a list, as in [sedan, suv]")
    prompt = spec.get("prompt")
    return ClassSpec(
        name,
        tuple(_as_name(synonym, where) for synonym in synonyms),
        None if prompt is None else _as_name(prompt, where),
        **{limit: _limit(spec.get(limit), name, limit, where) for limit in _LIMITS},
    )


def _limit(value: Any, name: str, limit: str, where: str) -> float | None:
    lowest, highest = _LIMITS[limit]
    if value is None:
        return None
    if type(value) not in (int, float) or not lowest <= value <= highest or math.isinf(value):
        raise UsageError(
            f"{where}: {limit} of {name!r} is {value!r}, and no number from {lowest} to {highest}"
        )
    return float(value)
