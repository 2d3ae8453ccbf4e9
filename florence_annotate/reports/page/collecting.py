"""One pass over the images of a job: what the page has of each."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from florence_annotate.dataset.annotated_image import AnnotatedImage
from florence_annotate.reports.measuring import Outcome
from florence_annotate.reports.page.chunks import Chunks
from florence_annotate.reports.page.content import Content, Row
from florence_annotate.reports.page.pictures import Pictures
from florence_annotate.reports.page.thumbnails import Making, Thumbnails

Progress = Callable[[Sequence[Outcome]], None]
"""Is told which images have been read."""


class _Begun(NamedTuple):
    """Some images, the first of them by its number; their thumbnails are being made."""

    first: int
    rows: list[Row]
    making: Making


def collect(
    images: Iterable[Outcome],
    content: Content,
    pictures: Pictures,
    thumbnails: Thumbnails,
    chunks: Chunks,
    at_once: int,
    progress: Progress,
) -> None:
    """Put all images into chunks of so many. While their thumbnails are made, the next ones are
    read. Raises OutputError."""

    def finish(begun: _Begun) -> None:
        for row, address in zip(begun.rows, thumbnails.finish(begun.making), strict=True):
            if address is not None:
                row["t"] = address
        chunks.add(begun.first, begun.rows)

    before: _Begun | None = None
    for outcomes in _together(images, at_once):
        first = content.images
        rows = [_row(outcome, content, pictures) for outcome in outcomes]
        annotated = [one if isinstance(one, AnnotatedImage) else None for one in outcomes]
        begun = _Begun(first, rows, thumbnails.begin(annotated))
        if before is not None:
            finish(before)
        before = begun
        progress(outcomes)
    if before is not None:
        finish(before)


def _together(images: Iterable[Outcome], count: int) -> Iterator[list[Outcome]]:
    waiting = iter(images)
    while some := list(islice(waiting, count)):
        yield some


def _row(outcome: Outcome, content: Content, pictures: Pictures) -> Row:
    assigned = pictures.assigned(outcome.ref.key)
    row = content.row(outcome, assigned and assigned.split)
    if isinstance(outcome, AnnotatedImage):
        address = pictures.address(outcome, assigned)
        if address is not None:
            row["x"] = address
    return row
