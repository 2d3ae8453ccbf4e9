"""The settings of a job, each declared once: type, bounds, default, help, and whether it binds.

They come in groups, as the help shows them; `florence_annotate.config.job_spec.JobSpec` has all.
Those of the model are in `model_settings`, those of what is written in `dataset_settings`, what a
pipeline asks of a dataset in `gate_settings`, and what leaves something out of a dataset in
`florence_annotate.policy.thresholds`.
"""

import os
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from florence_annotate import tasks
from florence_annotate.classes import ClassSpec
from florence_annotate.declaration import Binds, Kept, Locates, Names, Option, Panel, as_list
from florence_annotate.images.codec import DEFAULT_MAX_PIXELS
from florence_annotate.images.shards import Shard
from florence_annotate.images.tiles import DEFAULT_OVERLAP, Tiling
from florence_annotate.questions.recipes import RecipeName
from florence_annotate.questions.request import Strategy
from florence_annotate.questions.texts import SIDECAR


def _as_text(value: Any) -> Any:
    """A number that YAML made of `768`."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class Group(BaseModel):
    """Settings that belong together."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TaskSettings(Group):
    """What is asked of the model."""

    task: Annotated[
        str,
        Option(
            f"What to ask: any of the {len(tasks.TASKS)} tasks that 'florence-annotate tasks' "
            "lists, by name or token; several with commas, of which one may point at things.",
            Panel.TASK,
            kept=Kept.ONCE,
        ),
    ] = "detection"
    prompt: Annotated[
        str | None,
        Option(
            "A prompt of your own instead of a task, or with --task beside it, for a checkpoint "
            "that was trained with it; it goes to the model as it is.",
            Panel.TASK,
            kept=Kept.ONCE,
        ),
    ] = None
    gives: Annotated[
        tasks.PromptGives | None,
        Option("What the answer to --prompt holds.", Panel.TASK, default="text", kept=Kept.ONCE),
    ] = None
    recipe: Annotated[
        RecipeName | None,
        Option(
            f"Several questions an image: {'; '.join(each.asks for each in RecipeName)}.",
            Panel.TASK,
            kept=Kept.ONCE,
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
            kept=Kept.ONCE,
        ),
    ] = ()
    exclude: Annotated[
        Names, Option("Not those that match.", Panel.IMAGES, "PATTERN,…", kept=Kept.ONCE)
    ] = ()
    labelled_only: Annotated[
        bool,
        Option(
            "Leave images out of the dataset in which nothing was found.",
            Panel.IMAGES,
            kept=Kept.ONCE,
        ),
    ] = False
    limit: Annotated[
        int | None,
        Option(
            "Only the first N images; a later run without it goes on with the rest.",
            Panel.IMAGES,
            "N",
        ),
    ] = Field(default=None, ge=1, le=sys.maxsize)
    shard: Annotated[
        str | None,
        Option(
            "Only part I of N of the images, by a hash of their keys, for a task of a job array: "
            "nothing is exported, and 'florence-annotate merge' makes one dataset of all parts. An "
            "output keeps its part.",
            Panel.IMAGES,
            "I/N",
        ),
    ] = None
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
        int,
        Option(
            "Refuse larger images (decompression bombs).",
            Panel.IMAGES,
            "N",
            help_of_resume="Another limit than the last run's, above which images are refused.",
        ),
    ] = Field(default=DEFAULT_MAX_PIXELS, ge=1)
    pixels: Annotated[
        Literal["exact", "fast"],
        Option(
            "How images are made the model's input: fast decodes large JPEGs at a part of their "
            "size and resizes by PyTorch, where exact takes every pixel, by Pillow. Answers differ "
            "slightly (docs/performance.md).",
            Panel.IMAGES,
            binds=Binds.AS_ONE,
        ),
    ] = "exact"

    @field_validator("include", "exclude", mode="before")
    @classmethod
    def _patterns_are_there(cls, value: Any) -> Any:
        if isinstance(value, str) and not as_list(value):
            raise ValueError("it is empty")
        return value

    @field_validator("shard")
    @classmethod
    def _shard_is_one(cls, value: str | None) -> str | None:
        return None if value is None else str(Shard.parse(value))

    @field_validator("tiles")
    @classmethod
    def _tiles_make_sense(cls, value: str | None) -> str | None:
        refuse_empty(value)
        if value is not None:
            Tiling.parse(value)
        return value


CHOOSING = ("include", "exclude", "labelled_only")
"""By them an export, too, chooses among the images of its job."""


def refuse_empty(value: str | None) -> None:
    """For a validator. Raises ValueError."""
    if value is not None and not value.strip():
        raise ValueError("it is empty")


_BYTES = re.compile("[\ud800-\udfff]")


def holds_bytes(value: Any) -> bool:
    """Whether a text, or one within a value, holds bytes that are no UTF-8, as Python has them."""
    if isinstance(value, str):
        return bool(_BYTES.search(value))
    if isinstance(value, ClassSpec):
        return holds_bytes((value.name, value.synonyms, value.prompt))
    if isinstance(value, Mapping):
        return any(map(holds_bytes, value.items()))
    return isinstance(value, Collection) and any(map(holds_bytes, value))
