"""Settings in YAML: the presets of `configs/`, and files of the user's own."""

from pathlib import Path
from typing import Any

from florence_annotate.errors import UsageError
from florence_annotate.questions.texts import SIDECAR
from florence_annotate.user_files import SMALL, UnreadableFileError, read_text
from florence_annotate.user_yaml import parse_yaml


def read(name_or_file: str) -> dict[str, Any]:
    """The settings of a preset or a file, as `job_spec.build` takes them.

    Raises UsageError.
    """
    path = Path(name_or_file)
    if not path.is_file():
        named = [folder / f"{name_or_file}.yaml" for folder in _folders()]
        path = next((candidate for candidate in named if candidate.is_file()), path)
    try:
        content = parse_yaml(read_text(path, SMALL))
    except UnreadableFileError as error:
        said = f"can't read the configuration {path}: {error}"
        if error.kind == "missing":
            said = f"there is no preset or file {name_or_file!r}"
        known = ", ".join(names()) or "none"
        raise UsageError(f"{said}; give a YAML file, or one of {known}") from error
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise UsageError(f"the preset {path} must hold `setting: value` lines")
    settings = {key.replace("-", "_"): value for key, value in content.items()}
    if "format" in settings:
        settings["formats"] = settings.pop("format")
    for name in ("classes_file", "texts", "regions"):
        if settings.get(name) not in (None, SIDECAR):
            settings[name] = str(path.parent / str(settings[name]))
    return settings


def names() -> list[str]:
    """Those that come with the package."""
    return sorted(path.stem for folder in _folders() for path in folder.glob("*.yaml"))


def _folders() -> list[Path]:
    here = Path(__file__).parents[1]
    return [here / "configs"] if (here / "configs").is_dir() else [here.parent / "configs"]
