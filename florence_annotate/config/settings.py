"""The settings of a job, each declared once: type, bounds, default, help, and whether it binds.

They come in groups, as the help shows them; `florence_annotate.config.job_spec.JobSpec` has all.
Those of the model are in `model_settings`, and those that leave something out of a dataset in
`florence_annotate.policy.thresholds`.
"""

import os
import re
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from florence_annotate import tasks
from florence_annotate.classes import ClassSpec
from florence_annotate.declaration import Locates, Names, Option, Panel, as_list, as_pairs
from florence_annotate.images.codec import DEFAULT_MAX_PIXELS
from florence_annotate.images.tiles import DEFAULT_OVERLAP, Tiling
from florence_annotate.labels.splits import SPLITS, read_list
from florence_annotate.questions.recipes import RecipeName
from florence_annotate.questions.request import Strategy
from florence_annotate.questions.texts import SIDECAR

DEFAULT_SHARES = {"train": 0.8, "val": 0.2}
FOLDER = "folder"
"""Given as --split-by instead of a regular expression."""


def _as_shares(value: Any) -> Any:
    """`train=0.8,val=0.2` → {train: 0.8, val: 0.2}."""
    if isinstance(value, str):
        pairs = as_pairs(value)
        try:
            return {name: float(share) for name, share in pairs.items()}
        except ValueError as error:
            raise ValueError("write it as train=0.8,val=0.2") from error
    return value


def _as_text(value: Any) -> Any:
    """A number that YAML made of `768`."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _as_lists(value: Any) -> Any:
    """`val=list.txt`, or {val: list.txt} → {val: [the names in the file]}, each once, so that only
    the content of a file counts."""
    if isinstance(value, str):
        value = as_pairs(value)
        if not all(value.values()):
            raise ValueError("write it as val=list.txt,test=other.txt")
    if not isinstance(value, Mapping) or not all(map(_is_list, value.values())):
        return value
    if unknown := value.keys() - set(SPLITS):
        raise ValueError(f"there is no split {min(map(str, unknown))!r}, but {', '.join(SPLITS)}")
    lists = {
        split: sorted(set(read_list(Path(names)) if isinstance(names, str) else names))
        for split, names in sorted(value.items(), key=lambda pair: SPLITS.index(pair[0]))
    }
    seen: dict[str, str] = {}
    for split, names in lists.items():
        for name in names:
            if (first := seen.setdefault(name, split)) != split:
                raise ValueError(f"{name} is in two lists, {first} and {split}: take it out of one")
    return lists


def _is_list(names: Any) -> bool:
    """Whether it is a file's name, or names of images."""
    if isinstance(names, str):
        return True
    return isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)


Lists = Annotated[dict[str, tuple[str, ...]], BeforeValidator(_as_lists)]
Shares = Annotated[dict[str, float], BeforeValidator(_as_shares)]


class MaxFailures(BaseModel):
    """`3` images, or `2%` of them."""

    model_config = ConfigDict(frozen=True)

    count: int | None = Field(default=None, ge=0)
    percent: float | None = Field(default=None, ge=0, le=100)

    def __str__(self) -> str:
        return str(self.count or 0) if self.percent is None else f"{self.percent:g}%"

    def allows(self, failures: int, images: int) -> bool:
        if self.percent is not None:
            return failures * 100 <= self.percent * images
        return failures <= (self.count or 0)


def _as_max_failures(value: Any) -> Any:
    if not isinstance(value, int | str):
        return value
    number = str(value).strip()
    try:
        if number.endswith("%"):
            return MaxFailures(percent=float(number.removesuffix("%")))
        return MaxFailures(count=int(number))
    except ValueError as error:
        raise ValueError("write a number of images, as in 10, or a share, as in 2%") from error


class Group(BaseModel):
    """Settings that belong together."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DatasetSettings(Group):
    """What is written."""

    classes: Annotated[
        tuple[ClassSpec, ...] | None,
        Option(
            "Classes to annotate, in the order of their ids. Without, every label is a class.",
            Panel.DATASET,
            "A,B,…",
        ),
    ] = None
    classes_file: Annotated[
        Path | None,
        Option(
            "Classes from a file: one name a line, a data.yaml, or YAML such as "
            'car: {synonyms: [sedan, suv], prompt: "a parked car"}.',
            Panel.DATASET,
            "FILE",
            locates=Locates.FILE,
        ),
    ] = Field(default=None, exclude=True)
    """Read into `classes` before a job has settings."""
    formats: Annotated[
        Names | None,
        Option(
            "Formats to write: {formats}.",
            Panel.DATASET,
            "A,B,…",
            "what fits the task; for boxes yolo,coco",
            flag="--format",
        ),
    ] = None
    visuals: Annotated[
        bool,
        Option("Also write images with what was found drawn in.", Panel.DATASET),
    ] = False
    visuals_limit: Annotated[
        int | None, Option("Draw only the first N images.", Panel.DATASET, "N")
    ] = Field(default=None, ge=1)
    images: Annotated[
        Literal["auto", "hardlink", "symlink", "copy", "none"],
        Option(
            "How the dataset holds the images. auto: as clones that share the originals' blocks, "
            "where the file system makes them, else as hardlink. A hard link is the original "
            "itself under a second name: who edits it in place, edits both.",
            Panel.DATASET,
            default="auto; copy where there are no links",
        ),
    ] = "auto"
    split: Annotated[
        Shares | None,
        Option(
            "Shares of train, val and test.",
            Panel.DATASET,
            "NAME=SHARE,…",
            f"{','.join(f'{name}={share:g}' for name, share in DEFAULT_SHARES.items())}; where the "
            "source has folders train and val, valid, validation or test, these",
        ),
    ] = None
    seed: Annotated[int, Option("Seed of the split.", Panel.DATASET)] = 0

    split_by: Annotated[
        str | None,
        Option(
            "Keep images together in one split: those of a folder, or those in whose path in the "
            "source a regular expression finds the same (in its first group, where it has one).",
            Panel.DATASET,
            f"{FOLDER}|REGEX",
            "identical images alone",
        ),
    ] = None

    split_file: Annotated[
        Lists | None,
        Option(
            "Lists of the images of a split, one name a line; the others are split among the "
            "splits of --split that have no list, without it they go to train.",
            Panel.DATASET,
            "NAME=FILE,…",
            locates=Locates.FILE_BY_NAME,
        ),
    ] = None

    @field_validator("split_by")
    @classmethod
    def _split_by_can_be_read(cls, value: str | None) -> str | None:
        refuse_empty(value)
        try:
            with warnings.catch_warnings():
                # what Python will read otherwise one day, as `[[a]`
                warnings.simplefilter("error", FutureWarning)
                re.compile(value or "")
        except (re.error, FutureWarning, OverflowError, RecursionError) as error:
            raise ValueError(f"it is no regular expression ({error}), nor {FOLDER}") from error
        return value

    @field_validator("split")
    @classmethod
    def _split_is_whole(cls, value: dict[str, float] | None) -> dict[str, float] | None:
        if value is None:
            return None
        if "train" not in value or not set(value) <= set(SPLITS):
            raise ValueError(f"it needs train, and may have {', '.join(SPLITS[1:])}")
        if not all(share > 0 for share in value.values()):  # in these words, nan is refused too
            raise ValueError("every share must be above 0")
        if abs(sum(value.values()) - 1) > 1e-6:
            raise ValueError(f"the shares add up to {sum(value.values()):g}, not to 1")
        return {name: value[name] for name in SPLITS if name in value}


class TaskSettings(Group):
    """What is asked of the model."""

    task: Annotated[
        str,
        Option(
            f"What to ask: any of the {len(tasks.TASKS)} tasks that 'florence-annotate tasks' "
            "lists, by name or token; several with commas, of which one may point at things.",
            Panel.TASK,
        ),
    ] = "detection"
    prompt: Annotated[
        str | None,
        Option(
            "A prompt of your own instead of a task, or with --task beside it, for a checkpoint "
            "that was trained with it; it goes to the model as it is.",
            Panel.TASK,
        ),
    ] = None
    gives: Annotated[
        tasks.PromptGives | None,
        Option("What the answer to --prompt holds.", Panel.TASK, default="text"),
    ] = None
    recipe: Annotated[
        RecipeName | None,
        Option(
            f"Several questions an image: {'; '.join(each.asks for each in RecipeName)}.",
            Panel.TASK,
        ),
    ] = None
    text: Annotated[
        str | None,
        Option(
            "What to look for, for tasks that take a text: a phrase, or a caption to ground.",
            Panel.TASK,
        ),
    ] = None
    texts: Annotated[
        str | None,
        Option(
            "A text for each image: a CSV with the columns image and text, or the .txt beside each "
            "image.",
            Panel.TASK,
            f"FILE.csv|{SIDECAR}",
            locates=Locates.FILE,
        ),
    ] = None
    regions: Annotated[
        str | None,
        Option(
            "Boxes that exist already, for the tasks that take a region.",
            Panel.TASK,
            "COCO.json|YOLO_FOLDER",
            locates=Locates.FILE,
        ),
    ] = None
    strategy: Annotated[
        Strategy,
        Option(
            "How classes are found: by the labels of `<OD>`, by one prompt a class, by one prompt "
            "for all, or by the mask of each. auto takes `<OD>` for classes that it is known to "
            "say, a prompt for others.",
            Panel.TASK,
        ),
    ] = Strategy.AUTO

    @field_validator("task", mode="before")
    @classmethod
    def _tasks_exist(cls, value: Any) -> str:
        """Several are kept as one text, as journals have one."""
        names = as_list(value)
        if not isinstance(names, Sequence) or not names:
            raise ValueError("it names no task")
        return ",".join(dict.fromkeys(tasks.find(str(name)).name for name in names))

    @field_validator("prompt")
    @classmethod
    def _prompt_is_not_empty(cls, value: str | None) -> str | None:
        refuse_empty(value)
        return value

    @field_validator("texts", "regions")
    @classmethod
    def _input_is_absolute(cls, value: str | None) -> str | None:
        refuse_empty(value)
        return value if value in (None, SIDECAR) else os.path.abspath(value)


class ImageSettings(Group):
    """Which images, and how they are read."""

    include: Annotated[
        Names,
        Option(
            "Only images whose name or path matches, as in `day/*,*.jpg`.",
            Panel.IMAGES,
            "PATTERN,…",
        ),
    ] = ()
    exclude: Annotated[Names, Option("Not those that match.", Panel.IMAGES, "PATTERN,…")] = ()
    labelled_only: Annotated[
        bool,
        Option("Leave images out of the dataset in which nothing was found.", Panel.IMAGES),
    ] = False
    limit: Annotated[
        int | None,
        Option(
            "Only the first N images; a later run without it goes on with the rest.",
            Panel.IMAGES,
            "N",
        ),
    ] = Field(default=None, ge=1, le=sys.maxsize)
    tiles: Annotated[
        Annotated[str | None, BeforeValidator(_as_text)],
        Option(
            "Also ask of overlapping tiles, so that small things in large images are seen: columns "
            "and rows, as in 2x2, or a tile's side in pixels, as in 768.",
            Panel.IMAGES,
            "CxR|PIXELS",
        ),
    ] = None
    overlap: Annotated[
        float | None,
        Option(
            "Part of a tile's side that it shares with the next; things larger than that may be "
            "cut in every tile.",
            Panel.IMAGES,
            "0..0.5",
            str(DEFAULT_OVERLAP),
        ),
    ] = Field(default=None, ge=0, le=0.5)
    max_pixels: Annotated[
        int, Option("Refuse larger images (decompression bombs).", Panel.IMAGES, "N")
    ] = Field(default=DEFAULT_MAX_PIXELS, ge=1)

    @field_validator("include", "exclude", mode="before")
    @classmethod
    def _patterns_are_there(cls, value: Any) -> Any:
        if isinstance(value, str) and not as_list(value):
            raise ValueError("it is empty")
        return value

    @field_validator("tiles")
    @classmethod
    def _tiles_make_sense(cls, value: str | None) -> str | None:
        refuse_empty(value)
        if value is not None:
            Tiling.parse(value)
        return value


CHOOSING = ("include", "exclude", "labelled_only")
"""By them an export, too, chooses among the images of its job."""


class ContractSettings(Group):
    """What a pipeline relies on."""

    max_failures: Annotated[
        Annotated[MaxFailures, BeforeValidator(_as_max_failures)],
        Option("Images that may fail before the exit code is 3.", Panel.BEHAVIOUR, "N|P%"),
    ] = MaxFailures(count=0)


def refuse_empty(value: str | None) -> None:
    """For a validator. Raises ValueError."""
    if value is not None and not value.strip():
        raise ValueError("it is empty")
