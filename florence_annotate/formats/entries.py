"""One export: which pictures it holds under which names, and what it could not hold."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from florence_annotate.dataset.annotated_image import AnnotatedImage
from florence_annotate.dataset.dataset import Dataset
from florence_annotate.dataset.statistics import Statistics
from florence_annotate.errors import ExportError
from florence_annotate.formats.staging import Staging
from florence_annotate.images import codec


@dataclass(frozen=True, slots=True)
class Entry:
    """A picture with its place in the export."""

    image: AnnotatedImage
    name: str
    """Relative to the split's folder of pictures, with `/`."""
    split: str
    original: Path
    """The picture's own file; where that is gone, the copy of it that the dataset holds."""
    is_kept: bool
    """The original is gone."""


@dataclass(slots=True)
class Notes:
    """What a user has to know of an export besides its files."""

    left_out: dict[str, str] = field(default_factory=dict)
    """Key → why the picture is in no format."""
    yolo_left_out: dict[str, str] = field(default_factory=dict)
    """Key → why YOLO readers would reject the picture."""
    without_mask: int = 0
    """Instances that a format of outlines could not hold."""
    empty_splits: list[str] = field(default_factory=list)
    """Splits of data.yaml that have no picture and point at train."""
    copied: int = 0
    """Pictures that were copied although links were asked for."""


@dataclass
class Export:
    """What every format is given: pictures in key order, where to write, and where to note."""

    dataset: Dataset
    staging: Staging
    export_name: Callable[[str], str]
    image_mode: str
    """hardlink, symlink, copy or none."""
    visuals_limit: int | None = None
    notes: Notes = field(default_factory=Notes)
    _kept: dict[str, Path] = field(default_factory=dict)
    """Key → the dataset's own copy of a picture whose original is gone."""

    def __iter__(self) -> Iterator[Entry]:
        """All pictures of the export, read afresh from the journal."""
        for image in self.dataset:
            # where nothing was asked, nothing is known: an empty annotation would say otherwise
            if image.was_asked and image.ref.key not in self.notes.left_out:
                key = image.ref.key
                kept = self._kept.get(key)
                original = kept or Path(os.fsdecode(image.ref.path))
                name, split = self.export_name(key), self.dataset.split_of(key)
                yield Entry(image, name, split, original, kept is not None)

    def survey(self, *, check_originals: bool) -> Statistics:
        """Count what the dataset holds, and leave out pictures whose boxes would be wrong.

        Those are the pictures whose file is gone, or another one now, and of which the dataset
        holds no copy. Raises ExportError where that would leave nothing.
        """
        statistics = Statistics()
        has_pictures = False
        for image in self.dataset:
            if not image.was_asked:
                statistics.not_asked += 1
                continue
            problem = _check_original(image) if check_originals else None
            if problem and (kept := self.staging.own_copy(image.sha)):
                self._kept[image.ref.key] = kept
                problem = None
            if problem:
                self.notes.left_out[image.ref.key] = problem
            else:
                statistics.add(image)
                has_pictures = True
        if self.notes.left_out and not has_pictures:
            key, reason = next(iter(self.notes.left_out.items()))
            raise ExportError(
                f"no picture of the job is where it was ({key}: {reason}), so nothing was "
                "exported: put them back, run the job on their new folder, or export with "
                "--images none --no-visuals"
            )
        return statistics


def _check_original(image: AnnotatedImage) -> str | None:
    try:
        status = os.stat(image.ref.path)
    except OSError as error:
        return f"its file is gone ({error.strerror})"
    if (status.st_size, status.st_mtime_ns) == (image.ref.size_bytes, image.ref.mtime_ns):
        return None
    try:
        is_same = codec.digest(codec.read_bytes(image.ref.path)) == image.sha
    except codec.UnreadableImageError as error:
        return str(error)
    return None if is_same else "its file was changed since it was annotated: run the job again"


def dump_json(value: object) -> str:
    """JSON as all formats write it: the same value gives the same bytes."""
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
