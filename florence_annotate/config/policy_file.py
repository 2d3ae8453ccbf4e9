"""`policy.yaml` in an output folder: what was settled of a dataset, for people to read and to edit.

It holds the settings that are free (classes, thresholds, captions, formats, split, …), each under
the comment that its flag has for help. Only keys and classes that change are touched, so that
comments and the order of a file that was edited by hand stay (`yaml_editing`).
"""

import os
import re
import stat
import textwrap
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import NoneType
from typing import Any

from pydantic import ValidationError

from florence_annotate import classes as class_lists
from florence_annotate.classes import ClassSpec
from florence_annotate.config.job_spec import OPTIONS, JobSpec, explain
from florence_annotate.config.wording import types_of, what_to_write
from florence_annotate.config.yaml_editing import edited, spelled
from florence_annotate.declaration import Kept
from florence_annotate.errors import OutputError, UsageError, nearest
from florence_annotate.user_files import SMALL, UnreadableFileError, read_text
from florence_annotate.user_yaml import Document, read_document

NAME = "policy.yaml"
PART_NAME = f".{NAME}.part"
"""It has this name until it is whole."""
SETTLED = tuple(name for name, option in OPTIONS.items() if option.kept is Kept.POLICY)
"""The settings that it holds."""
_TARGET, _IDS = "target", "class_ids"
_MOST_IDS = 1000
"""Classes that are shown with their ids; labels that become classes may be very many."""
_MOST_BYTES = 4 * SMALL
"""A class list as long as may be given is longer here, by its quotes and indents."""
_HEAD = """\
# What this dataset holds, and how. Every run, resume and export reads it, and says what has
# changed; flags are written into it. What is taken out has the value that the job began with.
"""
_ABOUT = {
    _TARGET: "Which folder this is to its job. Leave it as it is.",
    _IDS: f"The first {_MOST_IDS} classes by id, as they were exported. Shown, not read: all ids "
    "are in data.yaml, and kept in the journal.",
}
_LONGEST_LINE = 96


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """What one says."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    """Setting → value, as `JobSpec` has it; those that stand in it."""
    target: str | None = None


def read(path: Path) -> PolicyFile | None:
    """What a file says; None where there is none.

    Raises UsageError that names the file, the line, the key, what was found and what is expected.
    """
    text = _load(path)
    if text is None:
        return None
    document = _parsed(path, text)
    content = document.content or {}
    settings: dict[str, Any] = {}
    for key, value in content.items():
        if key in (_TARGET, _IDS):
            continue
        where = f"{path}, line {document.line_of(key)}"
        if key not in SETTLED:
            hint = nearest(str(key), SETTLED) or f"it may hold {', '.join(SETTLED)}"
            raise UsageError(f"{where}: there is no {key!r} in a policy: {hint}")
        settings[key] = _value(key, value, where)
    target = content.get(_TARGET)
    return PolicyFile(settings, None if target is None else str(target))


_TARGET_LINE = re.compile(rf"^{_TARGET}: *['\"]?([0-9a-f]{{16}})['\"]?\s*(#.*)?$", re.MULTILINE)


def target_of(path: Path) -> str | None:
    """The target that a file names, which makes its folder a dataset, whatever else it says; None
    where there is no such file."""
    try:
        found = _TARGET_LINE.search(read_text(path, _MOST_BYTES))
    except UnreadableFileError:
        return None
    return found and found[1]


def write(
    path: Path, settings: Mapping[str, Any], *, target: str, class_names: Iterable[str] = ()
) -> None:
    """Set these keys in a file, and make the file with all of them where there is none.

    `settings` are values as `JobSpec` has them. Nothing is written where nothing changes. Raises
    OutputError, and UsageError for a file that is none.
    """
    temporary = path.with_name(PART_NAME)
    try:
        temporary.unlink(missing_ok=True)  # of a command that was killed
    except OSError as error:
        raise OutputError.at(path, error) from error
    text = _load(path)
    content = {} if text is None else _parsed(path, text).content or {}
    changes = {
        name: _plain(name, value)
        for name, value in settings.items()
        if name not in content or _value(name, content[name], str(path)) != value
    }
    shown = {_TARGET: target, _IDS: dict(enumerate(islice(class_names, _MOST_IDS)))}
    changes |= {name: value for name, value in shown.items() if content.get(name) != value}
    if text is not None and not changes:
        return
    above = {name: _comment(_ABOUT.get(name) or OPTIONS[name].help) for name in (*SETTLED, *shown)}
    text = edited(_HEAD if text is None else text, changes, above)
    try:
        with temporary.open("x", encoding="utf-8", newline="") as part:
            part.write(text)
        with suppress(OSError):  # as where there is none yet, or on file systems without modes
            temporary.chmod(stat.S_IMODE(path.stat().st_mode))
        os.replace(temporary, path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise OutputError.at(path, error) from error


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """A line for each setting that has another value: `min_score 0 → 0.4`."""
    return [
        f"{name} {_told(name, before[name])} → {_told(name, now[name])}"
        for name in SETTLED
        if name in before and name in now and before[name] != now[name]
    ]


def spelled_class(spec: ClassSpec) -> str:
    """A class as its entry under `classes` is written on one line."""
    return f"{spelled(spec.name)}: {spelled(_class(spec) or {})}"


def _load(path: Path) -> str | None:
    if not os.path.lexists(path):
        return None
    try:
        return read_text(path, _MOST_BYTES)
    except UnreadableFileError as error:
        raise UsageError(f"can't read {path}: {error}") from error


def _parsed(path: Path, text: str) -> Document:
    try:
        document = read_document(text)
    except UnreadableFileError as error:
        raise UsageError(f"can't read {path}: {error}") from error
    if not isinstance(document.content, dict | None):
        raise UsageError(f"{path} must hold `setting: value` lines")
    return document


def _value(name: str, value: Any, where: str) -> Any:
    """A setting as `JobSpec` has it."""
    if name == "classes":
        return None if value is None else _classes(value, where)
    kinds = types_of(JobSpec.model_fields[name])
    if value is None and NoneType not in kinds:
        expected = what_to_write(JobSpec.model_fields[name])
        raise UsageError(f"{where}: {name} is empty: {expected}, or take the line out")
    if isinstance(value, bool) and bool not in kinds:  # a number to pydantic
        expected = what_to_write(JobSpec.model_fields[name])
        raise UsageError(f"{where}: {name}: {spelled(value)} won't do: {expected}")
    try:
        return getattr(JobSpec.model_validate({name: value}), name)
    except ValidationError as error:
        raise UsageError(f"{where}: {explain(error, str)}") from error


def _classes(value: Any, where: str) -> tuple[ClassSpec, ...]:
    try:
        return class_lists.from_data(value, where).classes
    except UsageError as error:
        if str(error).startswith(where):
            raise
        raise UsageError(f"{where}: {error}") from error


def _plain(name: str, value: Any) -> Any:
    """A setting as YAML spells it."""
    if name == "classes" and value is not None:
        return {one.name: _class(one) for one in value}
    return list(value) if isinstance(value, tuple) else value


def _class(spec: ClassSpec) -> dict[str, Any] | None:
    said = {name: getattr(spec, name) for name in ClassSpec.__dataclass_fields__ if name != "name"}
    said["synonyms"] = list(spec.synonyms)
    return {name: value for name, value in said.items() if value not in (None, [])} or None


def _told(name: str, value: Any) -> str:
    """A value in words for the user; a long one up to the first places of its list."""
    if value is None:
        return "none"
    plain = _plain(name, value)
    if name == "classes":  # as --classes takes them, but for what some have beside the name
        plain = [{one: said} if said else one for one, said in plain.items()]
    if isinstance(plain, list) and plain:
        texts = map(spelled, plain)
        text = next(texts)
        while len(text) <= _LONGEST_LINE and (following := next(texts, None)) is not None:
            text += f", {following}"
    else:
        text = spelled(plain)
    return text if len(text) <= _LONGEST_LINE else f"{text[:_LONGEST_LINE]} …"


def _comment(text: str) -> str:
    text = text.replace("{formats}", "those that 'florence-annotate export --help' lists")
    return "\n" + "".join(f"# {line}\n" for line in textwrap.wrap(text, _LONGEST_LINE))
