"""`JobSpec`: all settings of a job, from presets and flags."""

import glob
import json
import os
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from types import NoneType
from typing import Any, get_args

from pydantic import Field, ValidationError, ValidationInfo, field_validator

from florence_annotate import classes as class_lists
from florence_annotate import tasks
from florence_annotate.classes import ClassList, ClassSpec, Matching
from florence_annotate.config import presets
from florence_annotate.config.dataset_settings import DatasetSettings
from florence_annotate.config.gate_settings import GateSettings
from florence_annotate.config.model_settings import MOST_WORKERS, ModelSettings
from florence_annotate.config.older_jobs import BEFORE_IT_EXISTED
from florence_annotate.config.presets import Preset
from florence_annotate.config.settings import (
    ImageSettings,
    TaskSettings,
    holds_bytes,
)
from florence_annotate.config.wording import what_to_write
from florence_annotate.declaration import Option
from florence_annotate.errors import JobError, UsageError, nearest
from florence_annotate.images.shards import Shard
from florence_annotate.images.tiles import Tiling
from florence_annotate.labels.boxes import read_regions
from florence_annotate.policy.captions import CaptionSettings
from florence_annotate.policy.settings import PolicySettings
from florence_annotate.policy.thresholds import Thresholds
from florence_annotate.questions import texts
from florence_annotate.questions.recipes import RecipeName
from florence_annotate.questions.request import Request
from florence_annotate.tasks import PROMPTS, PromptGives, Task


# the fields of the last base come first, and so do its flags in the help
class JobSpec(
    GateSettings,
    ImageSettings,
    ModelSettings,
    TaskSettings,
    CaptionSettings,
    Thresholds,
    DatasetSettings,
):
    """Settings of a job, as the user gave them; `auto` and None are settled later."""

    sources: tuple[str, ...] = ()
    given: frozenset[str] = Field(default=frozenset(), exclude=True)
    """The settings that somebody chose, by a flag, in a preset or in Python."""

    by_flag: frozenset[str] = Field(default=frozenset(), exclude=True)
    """Those that a flag of this command chose, or somebody in Python."""

    @field_validator("sources")
    @classmethod
    def _sources_are_absolute(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_absolute, value))

    @field_validator("*")
    @classmethod
    def _text_is_text(cls, value: Any, info: ValidationInfo) -> Any:
        """A path may be of any bytes; other text is written into files that are UTF-8."""
        name = info.field_name or ""
        if name in OPTIONS and not OPTIONS[name].holds_path and holds_bytes(value):
            raise ValueError("it holds bytes that are no UTF-8: write it in UTF-8")
        return value

    def with_formats(self, formats: tuple[str, ...]) -> "JobSpec":
        """The same, as if a flag had chosen these formats."""
        flags = self.by_flag | {"formats"}
        return self.model_copy(update={"formats": formats, "by_flag": flags})

    @property
    def tiling(self) -> Tiling | None:
        """Raises UsageError for tiles that make no sense."""
        return None if self.tiles is None else Tiling.parse(self.tiles, self.overlap)

    def part(self) -> Shard | None:
        """The part of the images that `shard` names."""
        return None if self.shard is None else Shard.parse(self.shard)

    def class_list(self) -> ClassList | None:
        matching = Matching(is_older=self.label_rules == 1, has_synonyms=self.synonyms)
        return None if self.classes is None else _class_list(self.classes, matching)

    def policy(self) -> PolicySettings:
        """The part of the policy that these settings choose."""
        return PolicySettings(self.class_list(), self, self.verifies, self)

    @property
    def verifies(self) -> bool:
        """Whether classes that were asked by name stay only where another question agrees."""
        return self.recipe is RecipeName.VERIFY if self.presence is None else self.presence

    @property
    def asked(self) -> tuple[Task, ...]:
        """The tasks that are asked for by name or as a prompt, texts about the whole image last.

        Beside a prompt, --task counts only where somebody gave it.
        """
        named = [tasks.find(name) for name in self.task.split(",")]
        if self.prompt is None:
            found = named
        else:
            own = PROMPTS[self.gives or PromptGives.TEXT]
            found = [*named, own] if "task" in self.given else [own]
        return tuple(sorted(found, key=lambda task: task.is_about_whole_image))

    def request(self) -> Request:
        """What is to be asked. Raises UsageError for files of texts or regions that can't be, and
        for an answer to no prompt."""
        if self.gives is not None and self.prompt is None:
            raise UsageError("--gives says what the answer to --prompt holds: give --prompt too")
        texts_of = regions_of = None
        if self.texts is not None:
            is_file = self.texts != texts.SIDECAR
            texts_of = texts.read_texts(Path(self.texts)) if is_file else texts.sidecar_text
        if self.regions is not None:
            regions_of = read_regions(Path(self.regions))
        task, *also = self.asked
        return Request(
            task,
            self.strategy,
            self.class_list(),
            self.recipe,
            self.text,
            texts_of,
            regions_of,
            has_tiles=self.tiling is not None,
            prompt=self.prompt,
            also=tuple(also),
        )


def _absolute(source: str) -> str:
    if source.startswith("@"):
        return f"@{os.path.abspath(source[1:])}"
    if glob.has_magic(source) and not os.path.lexists(source) and not os.path.isabs(source):
        return os.path.join(glob.escape(os.getcwd()), source)
    return os.path.abspath(source)


def _options() -> dict[str, Option]:
    found = {
        name: next((each for each in field.metadata if isinstance(each, Option)), None)
        for name, field in JobSpec.model_fields.items()
    }
    return {name: option for name, option in found.items() if option is not None}


OPTIONS = _options()
"""Setting → how it is declared, in the order of the help."""


def build(flags: Mapping[str, Any], preset: str | None = None) -> JobSpec:
    """A specification from a preset (a name in `configs/`, or a file) and flags that beat it.

    Flags that are None were not given. `classes` may be text, `classes_file` a path. Raises
    UsageError with one line that names the setting.
    """
    given = _given(flags)
    file = presets.NONE if preset is None else presets.read(preset, OPTIONS)
    settings = _of_file(file, given)
    merged = settings | given
    if merged.get("presence"):
        settings.setdefault("recipe", RecipeName.VERIFY)
    if merged.get("overlap") is not None and merged.get("tiles") is None:
        named = "--overlap" if "overlap" in given else file.called("overlap")
        raise UsageError(f"{named} is that of tiles: give --tiles, or leave it out")
    flagged = _settle(given)
    settled = _settle(settings) | flagged
    return _validate(settled | {"given": _named(settled), "by_flag": _named(flagged)})


def _of_file(file: Preset, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a file says that no flag beats, its classes read. Raises UsageError, with the file's
    name, where that makes no sense by itself."""
    beaten = {*given, *(_CLASSES if _CLASSES & given.keys() else ())}
    left = {name: value for name, value in file.settings.items() if name not in beaten}
    try:
        settings = _read_classes(left)
        _validate(settings, file.called)
    except UsageError as error:
        where = "" if str(error).startswith(str(file.path)) else f"{file.path}: "
        raise UsageError(f"{where}{error}") from error
    return settings


def change(spec: JobSpec, flags: Mapping[str, Any]) -> JobSpec:
    """The specification with the flags that were given, in the forms that `build` takes."""
    settled = _settle(_given(flags))
    flagged = _named(settled)
    changed = settled | {"given": spec.given | flagged, "by_flag": flagged}
    return _validate(spec.model_dump() | changed)


def _given(flags: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in flags.items() if value is not None}


def _named(settings: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(settings) & OPTIONS.keys()


_CLASSES = {"classes", "classes_file"}


def _settle(settings: dict[str, Any]) -> dict[str, Any]:
    """Read the classes from where they are, let none stand for a setting that is not there, and
    --visuals-limit mean --visuals."""
    settings = {name: None if _is_none(name, v) else v for name, v in settings.items()}
    if settings.get("visuals_limit") and "visuals" not in settings:
        settings["visuals"] = True
    return _read_classes(settings)


def _read_classes(settings: dict[str, Any]) -> dict[str, Any]:
    others = {name: value for name, value in settings.items() if name not in _CLASSES}
    file, named = settings.get("classes_file"), settings.get("classes")
    if file is not None and named is not None:
        raise UsageError("give --classes or --classes-file, not both")
    if file is not None:
        class_list = class_lists.read_file(Path(str(file)))
    elif isinstance(named, str):
        class_list = class_lists.parse_names(named)
    elif named is not None and not isinstance(named, tuple):
        class_list = class_lists.from_data(named, "classes")
    else:
        return settings
    return others | {"classes": class_list.classes}


_WITHOUT = (
    *("classes", "formats", "join", "split", "split_by", "split_file", "visuals_limit"),
    *("min_labelled", "min_instances", "max_truncated"),
    *("gpus", "actors", "address"),
)
"""Settings that may be taken away, beside those that are numbers."""


def _is_none(name: str, value: Any) -> bool:
    """Whether a value takes a setting away: `--nms none`."""
    if not isinstance(value, str) or value.strip().lower() != "none" or name not in OPTIONS:
        return False
    types = get_args(JobSpec.model_fields[name].annotation)
    return NoneType in types and (float in types or name in _WITHOUT)


def _validate(settings: Mapping[str, Any], called: Callable[[str], str] | None = None) -> JobSpec:
    """Raises UsageError with one line that calls the setting so: by its flag, unless told."""
    try:
        return JobSpec.model_validate(settings)
    except ValidationError as error:
        raise UsageError(explain(error, called or flag_of)) from error


def explain(error: ValidationError, called: Callable[[str], str]) -> str:
    """What is wrong with a value, in words for the user, and what to write."""
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else "settings"
    if first["type"] == "extra_forbidden":
        meant = nearest(name, OPTIONS)
        hint = meant or "'florence-annotate run --help' lists them"
        return f"there is no setting {name!r}: {hint}"
    if first["type"] == "value_error":
        message = first["msg"].removeprefix("Value error, ")
    else:
        message = what_to_write(JobSpec.model_fields[name])
    return f"{called(name)}: {first.get('input')!r} won't do: {message}"


def flag_of(name: str) -> str:
    """The flag of a setting, as it is written: `--batch-size`."""
    if name == "sources":
        return "SOURCE"
    option = OPTIONS.get(name)
    return (option and option.flag) or f"--{name.replace('_', '-')}"


_JOURNAL = "job.db"
"""For messages: a text of it does not say where it lies."""


@lru_cache(maxsize=4)  # trials of many settings have the same few lists, of ten thousand classes
def _class_list(classes: tuple[ClassSpec, ...], matching: Matching) -> ClassList:
    return ClassList(classes, matching)


def dump(spec: JobSpec) -> str:
    """The specification as JSON text; `load` reads it."""
    # not pydantic's own, which refuses names without UTF-8
    return json.dumps(spec.model_dump() | {"given": sorted(spec.given)})


def load(text: str) -> JobSpec:
    """The specification of `dump`, also of an older version, whose text may lack settings.

    There, what differs from the defaults was given. Raises JobError for settings of a newer one,
    and for a text that is none.
    """
    before = {name: value for name, value in BEFORE_IT_EXISTED.items() if name in OPTIONS}
    try:
        settings = before | json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise JobError.damaged(_JOURNAL, f"the settings of a run: {error}") from error
    if unknown := sorted(settings.keys() - JobSpec.model_fields.keys()):
        raise JobError(
            f"the job has settings of a newer florence-annotate ({', '.join(unknown)}): go on with "
            "that version, or choose another output with -o"
        )
    workers = settings.get("workers")
    if isinstance(workers, int) and workers > MOST_WORKERS:  # from before there was a bound
        settings["workers"] = MOST_WORKERS
    for name in OPTIONS.keys() & settings.keys():  # from before they were refused
        if not OPTIONS[name].holds_path and holds_bytes(settings[name]):
            del settings[name]
    try:
        spec = _validate(settings)
    except (UsageError, TypeError) as error:
        raise JobError.damaged(_JOURNAL, f"the settings of a run: {error}") from error
    if "given" in settings:
        return spec
    default = JobSpec()
    others = (name for name in OPTIONS if getattr(spec, name) != getattr(default, name))
    return spec.model_copy(update={"given": frozenset(others)})
