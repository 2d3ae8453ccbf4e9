"""`JobSpec`: all settings of a job, from presets and flags; and what binds a job to itself.

A setting is *bound* where another value would change what the model says; a resume with another
value is refused. Everything else is *free* and may differ from one run of a job to the next.
"""

import glob
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from florence_annotate import classes as class_lists
from florence_annotate import tasks
from florence_annotate.classes import ClassList, ClassSpec
from florence_annotate.config import presets
from florence_annotate.errors import UsageError
from florence_annotate.images.tiles import Tiling
from florence_annotate.labels.boxes import read_regions
from florence_annotate.policy.settings import PolicySettings
from florence_annotate.questions import texts
from florence_annotate.questions.recipes import RecipeName
from florence_annotate.questions.request import Request, Strategy

SPLITS = ("train", "val", "test")


def _split_text(value: Any) -> Any:
    """`a,b` → [a, b], so that flags and YAML lists mean the same."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _read_split(value: Any) -> Any:
    """`train=0.8,val=0.2` → {train: 0.8, val: 0.2}."""
    if isinstance(value, str):
        pairs = [part.partition("=") for part in value.split(",")]
        try:
            value = {name.strip(): float(share) for name, _, share in pairs}
        except ValueError as error:
            raise ValueError("write it as train=0.8,val=0.2") from error
        if len(value) < len(pairs):
            raise ValueError("a split is named twice")
    return value


def _as_text(value: Any) -> Any:
    """A number that YAML made of `768`."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_split_text)]


Split = Annotated[dict[str, float], BeforeValidator(_read_split)]


class MaxFailures(BaseModel):
    """`3` pictures, or `2%` of them."""

    model_config = ConfigDict(frozen=True)

    count: int | None = Field(default=None, ge=0)
    percent: float | None = Field(default=None, ge=0, le=100)

    def allows(self, failures: int, images: int) -> bool:
        if self.percent is not None:
            return failures * 100 <= self.percent * images
        return failures <= (self.count or 0)


def _read_max_failures(value: Any) -> Any:
    if isinstance(value, int):
        return {"count": value}
    if isinstance(value, str):
        try:
            if value.strip().endswith("%"):
                return {"percent": float(value.strip().removesuffix("%"))}
            return {"count": int(value)}
        except ValueError as error:
            raise ValueError(
                "write a number of pictures, as in 10, or a share, as in 2%"
            ) from error
    return value


class JobSpec(BaseModel):
    """Settings of a job, as the user gave them; `auto` and None are settled later."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # what is asked of the model
    task: str = "detection"
    strategy: Strategy = Strategy.AUTO
    classes: tuple[ClassSpec, ...] | None = None
    recipe: RecipeName | None = None
    text: str | None = None
    texts: str | None = None
    regions: str | None = None

    # the model
    model: str = "base-ft"
    revision: str | None = None
    adapter: str | None = None
    canary: bool = True
    device: str = Field(default="auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    attention: Literal["auto", "sdpa", "eager", "flash_attention_2"] = "auto"
    compile: bool = False
    batch_size: Annotated[int, Field(ge=1, le=1024)] | Literal["auto"] = "auto"
    workers: int | None = Field(default=None, ge=0)
    max_new_tokens: int | None = Field(default=None, ge=2)
    num_beams: int | None = Field(default=None, ge=1, le=64)
    no_repeat_ngram: int | None = Field(default=None, ge=0)
    retry_truncated: bool = True
    constrain: Literal["off", "form", "labels"] = "off"

    # the pictures
    sources: tuple[str, ...] = ()
    include: Names = ()
    exclude: Names = ()
    tiles: Annotated[str | None, BeforeValidator(_as_text)] = None
    overlap: float | None = Field(default=None, ge=0, le=0.5)
    limit: int | None = Field(default=None, ge=1, le=sys.maxsize)
    max_pixels: int = Field(default=178_956_970, ge=1)

    # the dataset
    formats: Names | None = None
    visuals: bool = False
    visuals_limit: int | None = Field(default=None, ge=1)
    images: Literal["hardlink", "symlink", "copy", "none"] = "hardlink"
    split: Split = Field(default_factory=lambda: {"train": 0.8, "val": 0.2})
    seed: int = 0
    min_score: float = Field(default=0.0, ge=0, le=1)
    min_area: float = Field(default=0.0, ge=0)
    presence: bool | None = None
    nms: float | None = Field(default=None, ge=0, le=1)

    # the contract
    max_failures: Annotated[MaxFailures, BeforeValidator(_read_max_failures)] = MaxFailures(count=0)

    @field_validator("model", "adapter", "revision", "texts", "regions", "tiles")
    @classmethod
    def _is_not_empty(cls, value: str | None) -> str | None:
        if value is not None and not value.strip():
            raise ValueError("it is empty")
        return value

    @field_validator("task")
    @classmethod
    def _task_exists(cls, value: str) -> str:
        return tasks.find(value).name

    @field_validator("texts", "regions")
    @classmethod
    def _input_is_absolute(cls, value: str | None) -> str | None:
        return value if value in (None, texts.SIDECAR) else os.path.abspath(value)

    @field_validator("model", "adapter")
    @classmethod
    def _folder_is_absolute(cls, value: str | None) -> str | None:
        folder = os.path.expanduser(value or "")
        is_name = value in (None, "shapes")  # the embedded checkpoint, also beside such a folder
        return value if is_name or not os.path.isdir(folder) else os.path.abspath(folder)

    @field_validator("split")
    @classmethod
    def _split_is_whole(cls, value: dict[str, float]) -> dict[str, float]:
        if "train" not in value or not set(value) <= set(SPLITS):
            raise ValueError(f"it needs train, and may have {', '.join(SPLITS[1:])}")
        if not all(share > 0 for share in value.values()):  # in these words, nan is refused too
            raise ValueError("every share must be above 0")
        if abs(sum(value.values()) - 1) > 1e-6:
            raise ValueError(f"the shares add up to {sum(value.values()):g}, not to 1")
        return {name: value[name] for name in SPLITS if name in value}

    @field_validator("sources")
    @classmethod
    def _sources_are_absolute(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_absolute, value))

    @property
    def tiling(self) -> Tiling | None:
        """Raises UsageError for tiles that make no sense."""
        return None if self.tiles is None else Tiling.parse(self.tiles, self.overlap)

    def class_list(self) -> ClassList | None:
        return None if self.classes is None else ClassList(self.classes)

    def policy(self) -> PolicySettings:
        """The part of the policy that these settings choose."""
        asked_twice = self.recipe is RecipeName.VERIFY
        return PolicySettings(
            self.class_list(),
            self.min_score,
            self.nms,
            self.min_area,
            asked_twice if self.presence is None else self.presence,
        )

    def request(self) -> Request:
        """What is to be asked. Raises UsageError for files of texts or regions that can't be."""
        texts_of = regions_of = None
        if self.texts is not None:
            is_file = self.texts != texts.SIDECAR
            texts_of = texts.read_texts(Path(self.texts)) if is_file else texts.sidecar_text
        if self.regions is not None:
            regions_of = read_regions(Path(self.regions))
        task, classes = tasks.find(self.task), self.class_list()
        has_tiles = self.tiling is not None
        return Request(
            task, self.strategy, classes, self.recipe, self.text, texts_of, regions_of, has_tiles
        )


def _absolute(source: str) -> str:
    if source.startswith("@"):
        return f"@{os.path.abspath(source[1:])}"
    if glob.has_magic(source) and not os.path.lexists(source) and not os.path.isabs(source):
        return os.path.join(glob.escape(os.getcwd()), source)
    return os.path.abspath(source)


FLAGS = frozenset({*JobSpec.model_fields, "classes_file"})
"""What `build` and `change` take."""


def build(flags: Mapping[str, Any], preset: str | None = None) -> JobSpec:
    """A specification from a preset (a name in `configs/`, or a file) and flags that beat it.

    Flags that are None were not given. `classes` may be text, `classes_file` a path. Raises
    UsageError with one line that names the setting.
    """
    settings = presets.read(preset) if preset else {}
    given = {name: value for name, value in flags.items() if value is not None}
    if (settings | given).get("presence"):
        settings.setdefault("recipe", RecipeName.VERIFY)
    if given.get("overlap") is not None and (settings | given).get("tiles") is None:
        raise UsageError("--overlap is that of tiles: give --tiles, or leave it out")
    if "classes" in given or "classes_file" in given:
        settings.pop("classes", None)
        settings.pop("classes_file", None)
    return _validate(_settle(settings | given))


def change(spec: JobSpec, flags: Mapping[str, Any]) -> JobSpec:
    """The specification with the flags that were given, in the forms that `build` takes."""
    given = {name: value for name, value in flags.items() if value is not None}
    return _validate(spec.model_dump() | _settle(given))


def _settle(settings: dict[str, Any]) -> dict[str, Any]:
    """Read the classes from where they are, and let --visuals-limit mean --visuals."""
    if settings.get("visuals_limit") and "visuals" not in settings:
        settings["visuals"] = True
    file = settings.pop("classes_file", None)
    named = settings.get("classes")
    if file is not None and named is not None:
        raise UsageError("give --classes or --classes-file, not both")
    if file is not None:
        class_list = class_lists.read_file(Path(file))
    elif isinstance(named, str):
        class_list = class_lists.parse_names(named)
    elif named is not None and not isinstance(named, tuple):
        class_list = class_lists.from_data(named, "classes")
    else:
        return settings
    return settings | {"classes": class_list.classes}


_WORDS = {
    "batch_size": "write a number from 1 to 1024, or auto",
    "recipe": f"choose one of {', '.join(RecipeName)}",
    "strategy": f"choose one of {', '.join(Strategy)}",
    "device": "write auto, cpu, mps, cuda, or cuda:1 for the second CUDA device",
}
"""Where the library's own words would not help."""


def _validate(settings: Mapping[str, Any]) -> JobSpec:
    try:
        return JobSpec.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "settings"
        name = {"formats": "format", "sources": "SOURCE"}.get(name, name)
        if first["type"] == "extra_forbidden":
            raise UsageError(
                f"there is no setting {name!r}: 'florence-annotate run --help' lists them"
            ) from error
        message = _WORDS.get(name) or first["msg"].removeprefix("Value error, ")
        given = first.get("input")
        raise UsageError(f"--{name.replace('_', '-')}: {given!r} won't do: {message}") from error


def dump(spec: JobSpec) -> str:
    """The specification as JSON text; `load` reads it."""
    return json.dumps(spec.model_dump())  # not pydantic's own, which refuses names without UTF-8


def load(text: str) -> JobSpec:
    return _validate(json.loads(text))
