"""The settings of what is written: classes, formats, images and splits."""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from florence_annotate.classes import ClassSpec
from florence_annotate.config.settings import Group, refuse_empty
from florence_annotate.declaration import Kept, Locates, Names, Option, Panel, as_pairs
from florence_annotate.labels.splits import read_list
from florence_annotate.types import SPLITS

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


class DatasetSettings(Group):
    """What is written."""

    classes: Annotated[
        tuple[ClassSpec, ...] | None,
        Option(
            "Classes to annotate, in the order of their ids. Without, every label is a class.",
            Panel.DATASET,
            "A,B,…",
            kept=Kept.POLICY,
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
            kept=Kept.POLICY,
        ),
    ] = None
    visuals: Annotated[
        bool,
        Option("Also write images with what was found drawn in.", Panel.DATASET, kept=Kept.POLICY),
    ] = False
    visuals_limit: Annotated[
        int | None, Option("Draw only the first N images.", Panel.DATASET, "N", kept=Kept.POLICY)
    ] = Field(default=None, ge=1)
    images: Annotated[
        Literal["auto", "hardlink", "symlink", "copy", "none"],
        Option(
            "How the dataset holds the images. auto: as clones that share the originals' blocks, "
            "where the file system makes them, else as hardlink. A hard link is the original "
            "itself under a second name: who edits it in place, edits both.",
            Panel.DATASET,
            default="auto; copy where there are no links",
            kept=Kept.POLICY,
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
            kept=Kept.POLICY,
        ),
    ] = None
    seed: Annotated[int, Option("Seed of the split.", Panel.DATASET, kept=Kept.POLICY)] = 0

    split_by: Annotated[
        str | None,
        Option(
            "Keep images together in one split: those of a folder, or those in whose path in the "
            "source a regular expression finds the same (in its first group, where it has one).",
            Panel.DATASET,
            f"{FOLDER}|REGEX",
            "identical images alone",
            kept=Kept.POLICY,
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
            kept=Kept.JOURNAL,
        ),
    ] = None

    @field_validator("formats")
    @classmethod
    def _formats_are_named_once(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if value is None else tuple(dict.fromkeys(value))

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
