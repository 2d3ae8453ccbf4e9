"""Two datasets, or an earlier export of one and what it is now, compared image by image."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from florence_annotate.config import policy_file
from florence_annotate.dataset import opening, settled
from florence_annotate.dataset.annotated_image import AnnotatedImage
from florence_annotate.dataset.dataset import Dataset
from florence_annotate.errors import JobError, UsageError
from florence_annotate.journal import Journal, exists
from florence_annotate.policy.captions import CaptionSettings
from florence_annotate.policy.thresholds import Thresholds
from florence_annotate.reports.diff import Diff, Kept

_SHAPING = ("classes", *Thresholds.model_fields, *CaptionSettings.model_fields)
"""Settings without which two exports of the same answers differ in no instance and no text."""


@dataclass(frozen=True, slots=True)
class Side:
    """A dataset as its policy has it."""

    name: str
    journal: Journal
    dataset: Dataset

    def images(self) -> Iterator[AnnotatedImage]:
        return (image for image in self.dataset if image.was_asked)


def diff(before: Path, after: Path | None) -> Diff:
    """What changed from one dataset to another.

    Without another one, what changed since the job's latest export that was otherwise than its
    dataset is now. A folder that was exported to has no journal: the other one's is asked. Raises
    JobError for folders without a job, and UsageError where there is no such export.
    """
    with ExitStack() as stack:
        if after is None:
            sides = _earlier(stack, before), _side(stack, before, before)
        else:
            sides = _side(stack, before, after), _side(stack, after, before)
        return _compare(*sides)


def _side(stack: ExitStack, folder: Path, other: Path) -> Side:
    """A folder's dataset as its `policy.yaml` has it, exported or not."""
    target = None
    home = folder
    if not exists(folder) and exists(other):
        target = policy_file.target_of(folder / policy_file.NAME)
        if target is None:
            raise JobError(
                f"{folder} holds no job and no dataset that was exported: give the folders of two "
                "datasets"
            )
        home = other
    journal = stack.enter_context(Journal.open_existing(home))
    if target is not None:
        try:
            journal.export_to(target)
        except JobError as error:
            raise JobError(
                f"{folder} holds no job, and was not exported from the one in {other}: give a "
                "folder with its job.db"
            ) from error
    spec = settled.apply(opening.last_spec(journal), settled.read(journal, folder))
    return Side(str(folder), journal, opening.open_dataset(journal, spec))


def _earlier(stack: ExitStack, folder: Path) -> Side:
    """A job's dataset as it was exported the last time that it was otherwise than now."""
    journal = stack.enter_context(Journal.open_existing(folder))
    spec = opening.last_spec(journal)
    now = settled.apply(spec, settled.read(journal, folder))
    for earlier in journal.exports.history():
        values = settled.of_export(earlier.policy)
        then = spec.model_copy(update=values)
        is_same = all(getattr(then, name) == getattr(now, name) for name in _SHAPING)
        if is_same and earlier.last_attempt == journal.last_attempt():
            continue
        dataset = opening.open_dataset(journal, then, earlier.last_attempt)
        return Side(f"{folder}, export {earlier.place}", journal, dataset)
    raise UsageError(
        f"{folder} has no earlier export that would differ from its dataset now: give two folders "
        "to compare"
    )


def _compare(before: Side, after: Side) -> Diff:
    found = Diff(before.name, after.name)
    partner = _equal_bytes(before, after)
    partner_of_after = {new: old for old, new in partner.items()}
    waiting: dict[str, Kept] = {}
    """By the key before: the first that is met of two images with equal bytes."""
    for was, now in _merged(before.images(), after.images()):
        if was is not None and now is not None:
            found.add(was, now)
            continue
        image = was or now
        assert image is not None
        old = partner_of_after.get(image.ref.key) if was is None else image.ref.key
        if old is None or old not in partner:
            found.add(was, now)
        elif (other := waiting.pop(old, None)) is None:
            waiting[old] = Kept.of(image)
        elif was is None:
            found.add(other, now)
        else:
            found.add(was, other)
    for old, kept in waiting.items():  # nothing was asked about the other one
        found.add(*((kept, None) if kept.key == old else (None, kept)))
    return found


def _equal_bytes(before: Side, after: Side) -> dict[str, str]:
    """Key before → key after, of images that have one on one side alone, and equal bytes."""
    keys, other_keys = set(before.journal.annotated_keys()), set(after.journal.annotated_keys())
    by_sha: dict[str, list[str]] = {}
    for key in sorted(other_keys - keys):
        by_sha.setdefault(_sha(after, key), []).append(key)
    found = {}
    for key in sorted(keys - other_keys):
        if same := by_sha.get(_sha(before, key)):
            found[key] = same.pop(0)
    return found


def _sha(side: Side, key: str) -> str:
    latest = side.journal.selection.latest(key)
    return str(latest["sha"]) if latest else ""


def _merged(
    before: Iterator[AnnotatedImage], after: Iterator[AnnotatedImage]
) -> Iterator[tuple[AnnotatedImage | None, AnnotatedImage | None]]:
    """The images of both in the order of their keys, those with one key together."""
    was, now = next(before, None), next(after, None)
    while was is not None or now is not None:
        if now is None or (was is not None and was.ref.key < now.ref.key):
            yield was, None
            was = next(before, None)
        elif was is None or now.ref.key < was.ref.key:
            yield None, now
            now = next(after, None)
        else:
            yield was, now
            was, now = next(before, None), next(after, None)
