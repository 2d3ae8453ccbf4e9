"""`policy.yaml` in an output folder: what was settled of a dataset, for people to read and to edit.

It holds the settings that are free (classes, thresholds, captions, formats, split, …), each under
the comment that its flag has for help. Only keys that change are touched, so that comments and the
order of a file that was edited by hand stay.
"""

import io
import os
import re
import secrets
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from florence_annotate import classes as class_lists
from florence_annotate.classes import ClassSpec
from florence_annotate.config.job_spec import OPTIONS, JobSpec, explain
from florence_annotate.declaration import Panel
from florence_annotate.errors import OutputError, UsageError, nearest
from florence_annotate.user_files import SMALL, UnreadableFileError, read_text
from florence_annotate.user_yaml import parse_yaml

NAME = "policy.yaml"
SETTLED = tuple(
    name
    for name, option in OPTIONS.items()
    if option.panel is Panel.DATASET and name not in ("classes_file", "split_file")
)
"""The settings that it holds. Lists of splits, which may be as long as the dataset, are in the
journal alone."""
_TARGET, _IDS = "target", "class_ids"
_HEAD = """\
What this dataset holds, and how. Every run, resume and export reads it, and says what has
changed; flags are written into it. What is taken out has the value that the job began with.
"""
_ABOUT = {
    _TARGET: "Which folder this is to its job. Leave it as it is.",
    _IDS: "The classes by id, as they were exported. Shown, not read: ids are kept in the journal.",
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
    content = _load(path)
    if content is None:
        return None
    settings: dict[str, Any] = {}
    for key, value in content.items():
        if key in (_TARGET, _IDS):
            continue
        where = f"{path}, line {content.lc.value(key)[0] + 1}"
        if key not in SETTLED:
            hint = nearest(str(key), SETTLED) or f"it may hold {', '.join(SETTLED)}"
            raise UsageError(f"{where}: there is no {key!r} in a policy: {hint}")
        settings[key] = _value(key, _bare(value), where)
    target = content.get(_TARGET)
    return PolicyFile(settings, None if target is None else str(target))


_TARGET_LINE = re.compile(rf"^{_TARGET}: *['\"]?([0-9a-f]{{16}})['\"]?\s*(#.*)?$", re.MULTILINE)


def target_of(path: Path) -> str | None:
    """The target that a file names, which makes its folder a dataset, whatever else it says; None
    where there is no such file."""
    try:
        found = _TARGET_LINE.search(read_text(path, SMALL))
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
    content = _load(path)
    if content is None:
        content = CommentedMap()
        content.yaml_set_start_comment(_HEAD)
    wanted = {name: _plain(name, value) for name, value in settings.items()}
    shown = {**wanted, _TARGET: target, _IDS: dict(enumerate(class_names))}
    before = _dump(content)
    for name, value in shown.items():
        is_new = name not in content
        if is_new or content[name] != value:
            content[name] = _laid_out(value)
        if is_new:
            about = _ABOUT.get(name) or OPTIONS[name].help
            content.yaml_set_comment_before_after_key(name, before="\n" + _wrapped(about))
    text = _dump(content)
    if text == before and path.exists():
        return
    temporary = path.with_name(f".{NAME}.{secrets.token_hex(8)}")
    try:
        with temporary.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError.at(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """A line for each setting that has another value: `min_score 0 → 0.4`."""
    lines = []
    for name in SETTLED:
        if name in before and name in now:
            old, new = _plain(name, before[name]), _plain(name, now[name])
            if old != new:
                lines.append(f"{name} {_spelled(old)} → {_spelled(new)}")
    return lines


def _load(path: Path) -> CommentedMap | None:
    if not os.path.lexists(path):
        return None
    try:
        text = read_text(path, SMALL)
        parse_yaml(text)  # no aliases, and not too deep
        content = _yaml().load(text)
    except UnreadableFileError as error:
        raise UsageError(f"can't read {path}: {error}") from error
    except YAMLError as error:
        problem = " ".join(str(error).split())
        raise UsageError(f"can't read {path}: it is not valid YAML: {problem}") from error
    if content is None:
        return CommentedMap()
    if not isinstance(content, CommentedMap):
        raise UsageError(f"{path} must hold `setting: value` lines")
    return content


def _value(name: str, value: Any, where: str) -> Any:
    """A setting as `JobSpec` has it."""
    if name == "classes":
        return None if value is None else class_lists.from_data(value, where).classes
    try:
        return getattr(JobSpec.model_validate({name: value}), name)
    except ValidationError as error:
        raise UsageError(f"{where}: {explain(error, str)}") from error


def _bare(value: Any) -> Any:
    """A value without what ruamel keeps of how it was written."""
    if isinstance(value, dict):
        return {_bare(key): _bare(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_bare(each) for each in value]
    for kind in (str, bool, int, float):
        if isinstance(value, kind):
            return kind(value)
    return value


def _plain(name: str, value: Any) -> Any:
    """A setting as YAML spells it."""
    if name == "classes" and value is not None:
        return {one.name: _class(one) for one in map(_as_spec, value)}
    if isinstance(value, tuple):
        return list(value)
    return value


def _as_spec(value: Any) -> ClassSpec:
    """A class, also as the journal's JSON has it."""
    if isinstance(value, ClassSpec):
        return value
    return ClassSpec(**{**value, "synonyms": tuple(value.get("synonyms", ()))})


def _class(spec: ClassSpec) -> dict[str, Any] | None:
    said = {name: getattr(spec, name) for name in ClassSpec.__dataclass_fields__ if name != "name"}
    said["synonyms"] = list(spec.synonyms)
    return {name: value for name, value in said.items() if value not in (None, [])} or None


def _laid_out(value: Any) -> Any:
    """A value as ruamel writes it: what lies within a mapping or a list on one line."""
    if isinstance(value, dict):
        mapping = CommentedMap({key: _on_one_line(each) for key, each in value.items()})
        if not any(isinstance(each, dict | None) for each in value.values()) or not value:
            mapping.fa.set_flow_style()
        return mapping
    return _on_one_line(value)


def _on_one_line(value: Any) -> Any:
    if isinstance(value, dict):
        mapping = CommentedMap({key: _on_one_line(each) for key, each in value.items()})
        mapping.fa.set_flow_style()
        return mapping
    if isinstance(value, list):
        sequence = CommentedSeq(value)
        sequence.fa.set_flow_style()
        return sequence
    return value


def _spelled(value: Any) -> str:
    stream = io.StringIO()
    yaml = _yaml()
    yaml.dump({"x": _on_one_line(value)}, stream)
    return stream.getvalue().strip().removeprefix("x:").strip() or "none"


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text.replace("{formats}", "see --help"), _LONGEST_LINE))


def _dump(content: CommentedMap) -> str:
    stream = io.StringIO()
    _yaml().dump(content, stream)
    return stream.getvalue()


def _yaml() -> YAML:
    yaml = YAML(typ="rt")
    yaml.width = 4096
    yaml.preserve_quotes = True
    return yaml
