"""Settings in YAML: the presets of `configs/`, and files of the user's own."""

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from florence_annotate.config.model_settings import EMBEDDED
from florence_annotate.declaration import Locates, Option, as_pairs
from florence_annotate.errors import UsageError, nearest
from florence_annotate.questions.texts import SIDECAR
from florence_annotate.user_files import SMALL, UnreadableFileError, read_text
from florence_annotate.user_yaml import parse_yaml


@dataclass(frozen=True, slots=True)
class Preset:
    """What a file says."""

    path: Path
    settings: Mapping[str, Any]
    lines: Mapping[str, int]
    """Setting → the line that sets it."""

    def called(self, name: str) -> str:
        """How a message calls a setting of this file."""
        where = f"line {self.lines[name]}, " if name in self.lines else ""
        return f"{self.path}: {where}{_written(name)}"


NONE = Preset(Path(), {}, {})


def read(name_or_file: str, options: Mapping[str, Option]) -> Preset:
    """The settings of a preset or a file, as `job_spec.build` takes them.

    Relative paths begin where the file lies. Raises UsageError, also for what is none of `options`.
    """
    if not name_or_file.strip():
        raise UsageError(f"--config: {name_or_file!r} won't do: it is empty")
    path = Path(name_or_file)
    if not path.is_file():
        named = [folder / f"{name_or_file}.yaml" for folder in _folders()]
        path = next((candidate for candidate in named if candidate.is_file()), path)
    try:
        text = read_text(path, SMALL)
        content, tree = parse_yaml(text), yaml.compose(text, yaml.SafeLoader)
    except UnreadableFileError as error:
        said = f"can't read the configuration {path}: {error}"
        if error.kind == "missing":
            said = f"there is no preset or file {name_or_file!r}"
        known = ", ".join(names()) or "none"
        raise UsageError(f"{said}; give a YAML file, or one of {known}") from error
    if content is None:
        return Preset(path, {}, {})
    if not isinstance(tree, yaml.MappingNode) or not all(isinstance(key, str) for key in content):
        raise UsageError(f"the preset {path} must hold `setting: value` lines")
    lines: dict[str, int] = {}
    for key, _ in tree.value:
        name = _name(key.value)
        if name in lines:
            raise UsageError(
                f"{path}: line {key.start_mark.line + 1}, {key.value}: it is set twice"
            )
        lines[name] = key.start_mark.line + 1
    preset = Preset(path, {_name(key): value for key, value in content.items()}, lines)
    for name in preset.settings.keys() - options.keys():
        meant = nearest(_written(name), map(_written, options))
        raise UsageError(
            f"{preset.called(name)}: there is no such setting: "
            + (meant or "'florence-annotate run --help' lists them")
        )
    beside = {
        name: _found_from(path.parent, value, options[name].locates)
        for name, value in preset.settings.items()
    }
    return Preset(path, beside, lines)


def _name(key: str) -> str:
    """`min-score` → `min_score`."""
    name = key.replace("-", "_")
    return "formats" if name == "format" else name


def _written(name: str) -> str:
    """`min_score` → `min-score`, as the flags and the presets of this package have it."""
    return "format" if name == "formats" else name.replace("_", "-")


def _found_from(folder: Path, value: Any, locates: Locates | None) -> Any:
    """The value, a relative path in it from the folder of the file on."""
    if locates is Locates.FILE_BY_NAME:
        with contextlib.suppress(ValueError):  # what makes no sense is refused with the setting
            value = as_pairs(value) if isinstance(value, str) else value
        if not isinstance(value, Mapping):
            return value
        return {name: _found_from(folder, file, Locates.FILE) for name, file in value.items()}
    if locates is None or not isinstance(value, str) or not value or value in (SIDECAR, EMBEDDED):
        return value
    path = os.path.join(folder, os.path.expanduser(value))
    is_name = locates is Locates.FOLDER_OR_NAME and not value.startswith(("./", "../", "~"))
    return value if is_name and not os.path.isdir(path) else path


def names() -> list[str]:
    """Those that come with the package."""
    return sorted(path.stem for folder in _folders() for path in folder.glob("*.yaml"))


def _folders() -> list[Path]:
    here = Path(__file__).parents[1]
    return [here / "configs"] if (here / "configs").is_dir() else [here.parent / "configs"]
