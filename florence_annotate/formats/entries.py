"""What every format is given: an export's images under their names, where to write, and where to
note what could not be held."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from florence_annotate.config.job_spec import JobSpec
from florence_annotate.dataset.annotated_image import AnnotatedImage
from florence_annotate.dataset.dataset import Dataset
from florence_annotate.formats.holding import Held
from florence_annotate.formats.staging import Staging
from florence_annotate.journal import Exported
from florence_annotate.tasks import field_of


@dataclass(frozen=True)
class Entry:
    """An image in an export."""

    image: AnnotatedImage
    name: str
    """Relative to the split's folder of images, with `/`."""
    split: str
    original: str
    """The image's own file; where that is gone, what the dataset holds of it."""
    number: int
    """Its id in COCO, from 1; it never changes."""
    kept: Exported | None = None
    """The file that the dataset holds, where the original is gone."""

    @property
    def stem(self) -> str:
        """The name without its ending: what a file about the image is named."""
        return self.name.rpartition(".")[0]

    def texts_of(self, fields: Iterable[str]) -> dict[str, str]:
        """Field → the caption of that name; empty where the image has none."""
        found = {field_of(caption.task): caption.text for caption in self.image.captions}
        return {name: found.get(name, "") for name in fields}

    @cached_property
    def box_rows(self) -> list[list[float]]:
        """The boxes of the instances as most formats have them: x, y, width, height, in pixels."""
        rows = []
        for instance in self.image.instances:
            x1, y1, x2, y2 = instance.box
            rows.append([round(x1, 4), round(y1, 4), round(x2 - x1, 4), round(y2 - y1, 4)])
        return rows

    @cached_property
    def scores(self) -> list[float]:
        """The scores of the instances, rounded as in all formats."""
        return [round(instance.score, 4) for instance in self.image.instances]


@dataclass(slots=True)
class Notes:
    """What a user has to know of an export besides its files."""

    left_out: dict[str, str] = field(default_factory=dict)
    """Key → why the image is in no format, though it should be."""
    yolo_left_out: dict[str, str] = field(default_factory=dict)
    """Key → why YOLO readers would reject the image."""
    without_mask: int = 0
    """Instances that a format of outlines could not hold."""
    empty_splits: list[str] = field(default_factory=list)
    """Splits that have no image: data.yaml names those of another split, if any has some."""
    without_results: list[str] = field(default_factory=list)
    """Splits that have no file of COCO results, since nothing was found there."""
    copied: int = 0
    """Images that were copied although links were asked for."""
    hard_linked: int = 0
    """Images that are hard links to their originals."""
    moved: int = 0
    """Images that have another split than in the export before."""
    renumbered: bool = False
    """Classes have other ids than in the export before."""
    not_included: int = 0
    """Images that --include and --exclude leave out."""
    unlabelled: int = 0
    """Images that --labelled-only leaves out."""
    by_folders: bool = False
    """Images are split as the source's own folders are named."""
    unlisted: list[str] = field(default_factory=list)
    """Names of --split-file that no image has."""
    held: Held = field(default_factory=dict)
    """Files that stay as somebody made them, and why; see `formats.holding`."""


@dataclass(frozen=True, slots=True)
class Export:
    """One export: its settings, where its files are written, and what is noted on the way."""

    spec: JobSpec
    staging: Staging
    notes: Notes = field(default_factory=Notes)

    @property
    def caption_fields(self) -> tuple[str, ...]:
        """The captions that have a field of their own, by name: those of several tasks that were
        asked for, unless they are joined. One caption alone needs none."""
        names = [task.name for task in self.spec.asked if task.is_about_whole_image]
        return tuple(names) if len(names) > 1 and not self.spec.join else ()


class Writer(Protocol):
    """The files of one format, written while all formats are fed in one pass over the dataset."""

    def begin(self, dataset: Dataset) -> None:
        """Before the first image. Class names and splits are known; the images are not to be
        read here."""

    def add(self, entry: Entry) -> None:
        """An image; they come in the order of their keys.

        A writer that can't read the image itself notes it in `left_out`, and the writers that
        follow are not given it.
        """

    def finish(self) -> None:
        """After the last image."""


dump_json = json.JSONEncoder(ensure_ascii=False, separators=(", ", ": ")).encode
"""JSON as all formats write it: the same value gives the same bytes."""
