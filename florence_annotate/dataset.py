"""Journal + policy → annotated pictures, in key order, one at a time."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from florence_annotate import outlines, planning, presence, reading
from florence_annotate.classes import ClassList
from florence_annotate.config import JobSpec
from florence_annotate.journal import Journal
from florence_annotate.policy import Policy
from florence_annotate.request import RecipeName
from florence_annotate.types import (
    Box,
    Caption,
    Dropped,
    ImageRef,
    Instance,
    Polygon,
    Question,
    Record,
)


@dataclass(frozen=True, slots=True)
class AnnotatedImage:
    """A picture and what the policy kept and dropped of what the model said about it."""

    ref: ImageRef
    sha: str
    width: int
    height: int
    instances: tuple[Instance, ...]
    captions: tuple[Caption, ...]
    dropped: tuple[Dropped, ...]
    truncated: bool
    """An answer was cut at the token limit: there may be more objects."""
    class_names: tuple[str, ...]
    was_asked: bool = True
    """Not where the job has a text or regions for each picture, and none for this one."""

    def to_supervision(self) -> Any:
        """The instances as `supervision.Detections`: pixel boxes, class ids, scores as confidence,
        and `class_name` in its data. Masks where any instance has an outline; where any has the
        four points around printed text, those of all under supervision's own name."""
        import numpy as np
        import supervision as sv
        from supervision.config import ORIENTED_BOX_COORDINATES

        if not self.instances:
            return sv.Detections.empty()
        class_ids = [instance.class_id or 0 for instance in self.instances]
        data = {"class_name": np.array([self.class_names[i] for i in class_ids])}
        if any(instance.text is not None for instance in self.instances):
            data["text"] = np.array([instance.text or "" for instance in self.instances])
        if any(instance.quad for instance in self.instances):
            quads = [instance.quad or _corners(instance.box) for instance in self.instances]
            data[ORIENTED_BOX_COORDINATES] = np.array(quads, dtype=np.float32)
        mask = None
        if any(instance.polygons for instance in self.instances):
            mask = np.stack(
                [outlines.to_mask(i.polygons, self.width, self.height) for i in self.instances]
            )
        return sv.Detections(
            xyxy=np.array([instance.box for instance in self.instances], dtype=np.float32),
            mask=mask,
            confidence=np.array([instance.score for instance in self.instances], dtype=np.float32),
            class_id=np.array(class_ids, dtype=int),
            data=data,
        )


def _corners(box: Box) -> Polygon:
    x1, y1, x2, y2 = box
    return (x1, y1), (x2, y1), (x2, y2), (x1, y2)


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """The part of a policy that is the user's to choose; `classes` None: every label is one."""

    classes: ClassList | None
    min_score: float
    nms: float | None
    min_area: float = 0.0
    presence: bool = False

    @classmethod
    def of(cls, spec: JobSpec) -> "PolicySettings":
        asked_twice = spec.recipe is RecipeName.VERIFY
        return cls(
            spec.class_list(),
            spec.min_score,
            spec.nms,
            spec.min_area,
            asked_twice if spec.presence is None else spec.presence,
        )


def policy_of(
    settings: PolicySettings,
    questions: Collection[Question],
    find: Callable[[str], int | None],
) -> Policy:
    """The policy of a job that asked these questions; `find` knows the classes.

    Raises UsageError for a class that the job never asked for, and for confirmation that it lacks.
    """
    prompted: frozenset[int] = frozenset()
    if settings.classes is not None:
        planning.refuse_unasked(questions, settings.classes)
        prompted = planning.asked_by_prompt(questions, settings.classes)
    if settings.presence:
        planning.refuse_unverified(questions)
    return Policy(
        find,
        prompted,
        settings.min_score,
        settings.nms,
        settings.min_area,
        settings.classes if settings.presence else None,
        planning.witnesses(questions),
    )


def read_picture(record: Record, policy: Policy, class_names: tuple[str, ...]) -> AnnotatedImage:
    """One record under a policy."""
    said = reading.read(record)
    known = presence.known(said, policy.confirmed) if policy.confirmed else None
    kept, dropped = policy.apply(said.instances, record.width, record.height, known)
    return AnnotatedImage(
        record.ref,
        record.sha,
        record.width,
        record.height,
        tuple(kept),
        said.captions,
        (*said.dropped, *dropped),
        any(answer.truncated for answer in record.answers),
        class_names,
        bool(record.answers),
    )


@dataclass(slots=True)
class Statistics:
    """Counts over a dataset; filled while it is read."""

    instances: Counter[str] = field(default_factory=Counter)
    """Kept instances, by class name."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Dropped ones, by reason."""
    unmapped: Counter[str] = field(default_factory=Counter)
    """Labels that belong to no class."""
    captions: int = 0
    not_asked: int = 0
    """Pictures without a text or regions of their own, where the job needs them."""
    truncated: list[str] = field(default_factory=list)
    """Keys of pictures with an answer that was cut at the token limit."""

    def add(self, image: AnnotatedImage) -> None:
        for instance in image.instances:
            if instance.class_id is not None:
                self.instances[image.class_names[instance.class_id]] += 1
        for dropped in image.dropped:
            self.dropped[dropped.reason] += 1
            if dropped.reason == "no-class":
                self.unmapped[dropped.label] += 1
        self.captions += len(image.captions)
        if image.truncated:
            self.truncated.append(image.ref.key)


class Dataset:
    """The annotated pictures of a job, finished or not, under a policy.

    Iterating reads the journal afresh, in key order, one picture at a time.
    """

    def __init__(
        self,
        journal: Journal,
        questions: Collection[Question],
        settings: PolicySettings,
        split: Mapping[str, float],
        seed: int,
    ) -> None:
        """Raises UsageError for a class that the job never asked for."""
        self._journal = journal
        self.split_names = tuple(split)
        self._split_of = splitter(split, seed)
        self.class_names, find = self._classes(settings.classes)
        self._policy = policy_of(settings, questions, find)

    def _classes(
        self, classes: ClassList | None
    ) -> tuple[tuple[str, ...], Callable[[str], int | None]]:
        if classes is not None:
            return classes.names, classes.find
        labels: set[str] = set()
        for record in self._journal.records():
            labels.update(instance.label for instance in reading.read(record).instances)
        names = tuple(sorted(labels - {""}))
        return names, {name: class_id for class_id, name in enumerate(names)}.get

    def __iter__(self) -> Iterator[AnnotatedImage]:
        for record in self._journal.records():
            yield read_picture(record, self._policy, self.class_names)

    def split_of(self, key: str) -> str:
        return self._split_of(key)


def splitter(shares: Mapping[str, float], seed: int) -> Callable[[str], str]:
    """A function from a key to its split, by a hash of key and seed: it depends on no other
    picture, so that none moves when pictures are added."""

    def split_of(key: str) -> str:
        digest = hashlib.sha256(f"{seed}\0{key}".encode()).digest()
        place = int.from_bytes(digest[:8], "big") / 2**64
        for name, share in shares.items():
            if place < share:
                return name
            place -= share
        return next(iter(shares))  # the shares' sum, rounded, fell short of 1

    return split_of


_READABLE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""Endings that the YOLO readers of both ultralytics and supervision list."""

_LONGEST_NAME = 250
"""Bytes of a file name, with some left of the usual 255."""


def export_names(journal: Journal) -> Callable[[str], str]:
    """The one function from a key to the picture's name in a dataset; injective.

    The name is the key wherever that is safe. It is changed only where a reader would break:

    - another ending, `.png`, for kinds that YOLO readers do not list (a GIF, say);
    - `_` for characters that are escaped in the key, for the dot of a hidden name and in a folder
      named `images` (readers look for the *last* `/images/` of a path) or `metadata.jsonl` (a file
      of that name lies beside the pictures), a shorter name for one that is too long; for a second
      picture with the same stem in one folder, whose label file would be the same; and for one
      whose files would be named as a folder is (`1.txt/`). Then a part of the key's hash is added,
      so that no two names meet.
    """
    first_of_stem: dict[str, str] = {}
    doubled: set[str] = set()
    folders: set[str] = set()
    for key, stem in journal.annotated_keys():
        if first_of_stem.setdefault(stem, key) != key:
            doubled.add(key)
        folders.update(str(parent) for parent in PurePosixPath(key.casefold()).parents)
    for stem, key in first_of_stem.items():
        endings = {".txt", ".jpg", ".png", ".xml", ".json", PurePosixPath(key).suffix.casefold()}
        if any(stem + ending in folders for ending in endings):
            doubled.add(key)

    def export_name(key: str) -> str:
        folder, slash, name = key.rpartition("/")
        stem, suffix = os.path.splitext(name)
        if suffix.lower() not in _READABLE_SUFFIXES:
            suffix = ".png"
        safe = "/".join(_safe(part) for part in [*folder.split("/"), stem])
        if safe != f"{folder}/{stem}" or key in doubled:
            safe = f"{safe}-{hashlib.sha256(key.encode()).hexdigest()[:10]}"
        return (safe if slash else safe.removeprefix("/")) + suffix

    return export_name


def _safe(part: str) -> str:
    if part == "images" or part.casefold() == "metadata.jsonl":
        return f"{part}_"
    if part.startswith("."):
        part = "_" + part[1:]
    part = part.replace("\\", "_")
    room = _LONGEST_NAME - len("-0123456789.jpeg")
    if len(part.encode()) > room:
        part = part.encode()[:room].decode("utf-8", "ignore")
    return part
