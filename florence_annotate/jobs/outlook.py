"""What a run would do, for `--dry-run`: the counts that it would come to."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from florence_annotate.images import codec
from florence_annotate.journal import Journal
from florence_annotate.types import ImageRef


@dataclass(frozen=True, slots=True)
class Outlook:
    """Counts of images, as the journal would have them, and how many would be read."""

    images: int
    """Those of the job."""
    pending: int
    """Of these, how many a run would read."""
    beyond_limit: int
    """Others that the sources name, and that --limit leaves out."""
    left_dataset: dict[str, Any]
    """See `florence_annotate.jobs.leaving.Leaving.described`."""


def of_new(refs: Iterable[ImageRef], limit: int | None, left: dict[str, Any]) -> Outlook:
    """Of a job that has not begun; `left` is not empty where it begins again."""
    total = sum(1 for _ in refs)
    images = min(total, limit or total)
    return Outlook(images, images, total - images, left)


def of_begun(journal: Journal, left: dict[str, Any], *, retry_failed: bool) -> Outlook:
    """Of one that goes on, with the images that are noted in its journal's selection."""
    images = pending = beyond = 0
    for noted in journal.selection.noted(retry_failed=retry_failed):
        if noted.is_beyond_limit:
            beyond += 1
            continue
        images += 1
        if noted.is_pending:
            is_only_touched = noted.sha and has_content(noted.ref, noted.sha)
            pending += not is_only_touched
    return Outlook(images, pending, beyond, left)


def has_content(ref: ImageRef, sha: str) -> bool:
    """Whether the file of an image holds the bytes with this hash."""
    try:
        return codec.digest(codec.read_bytes(ref.path)) == sha
    except codec.UnreadableImageError:
        return False  # the loader will say it again, and the journal will hold it
