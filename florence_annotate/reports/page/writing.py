"""A job → its page."""

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from florence_annotate.dataset import settled
from florence_annotate.dataset.choosing import is_chosen
from florence_annotate.errors import OutputError, UsageError
from florence_annotate.evaluation import job as evaluation
from florence_annotate.evaluation.job import Judgement
from florence_annotate.evaluation.matching import Iou
from florence_annotate.images.keys import printable
from florence_annotate.journal import Journal
from florence_annotate.reports.comparing import diff
from florence_annotate.reports.diff import Diff
from florence_annotate.reports.measuring import Measuring
from florence_annotate.reports.page import markup, places, skeleton
from florence_annotate.reports.page.accuracy import accuracy
from florence_annotate.reports.page.chunks import Beside, Chunks, Inlined
from florence_annotate.reports.page.collecting import Progress, collect
from florence_annotate.reports.page.content import Content
from florence_annotate.reports.page.differences import differences
from florence_annotate.reports.page.folder import Folder, is_of_report, replacing
from florence_annotate.reports.page.markup import Html
from florence_annotate.reports.page.pictures import Pictures
from florence_annotate.reports.page.places import Places
from florence_annotate.reports.page.summary import distributions, overview
from florence_annotate.reports.page.thumbnails import Thumbnails
from florence_annotate.types import SPLITS

IN_ONE_FILE = 1000
"""Images that a page holds itself; those of more lie in a folder beside it."""
A_CHUNK = 500
"""Images that the page loads at a time."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a report."""

    out: Path
    """The job's folder."""
    page: Path | None = None
    """Where it goes; None: into that folder."""
    ground_truth: Path | None = None
    """See `evaluation.job.Request`."""
    iou: Iou = "bbox"
    against: Path | None = None
    """Another dataset, to tell the differences from; the job's own folder: an earlier export."""


@dataclass(frozen=True, slots=True)
class Written:
    """What was written."""

    page: Path
    folder: Path | None
    """Beside the page, where that is not all."""
    images: int
    chunks: int
    """Files of data in that folder."""
    thumbnails: int
    thumbnails_made: int
    """The others were there."""
    without_picture: int
    """Annotated images whose files are gone or were changed."""

    def to_json(self) -> dict[str, Any]:
        return {
            "page": str(self.page),
            "folder": self.folder and str(self.folder),
            "images": self.images,
            "chunks": self.chunks,
            "thumbnails": self.thumbnails,
            "thumbnails_made": self.thumbnails_made,
            "without_picture": self.without_picture,
        }


def write_report(
    journal: Journal,
    request: Request,
    progress: Progress = lambda outcomes: None,
    *,
    in_one_file: int = IN_ONE_FILE,
    a_chunk: int = A_CHUNK,
) -> Written:
    """Write the page of a job.

    Raises JobError before the first run; UsageError for a place that can't take the page, and what
    `evaluation.job.judge` and `comparing.diff` raise; OutputError.
    """
    place = places.settle(request.out, request.page)
    measuring = Measuring(journal, request.out)
    judgement, changes = _judge(request), _compare(request)
    counts = journal.counts()
    pictures = Pictures(journal, request.out, place.page)
    folder: Folder | None
    chunks: Chunks
    if counts.annotated + counts.failed > in_one_file:
        folder = Folder(place.beside)
        chunks = Beside(folder)
        thumbnails = Thumbnails(pictures.original, folder, place.beside.name)
    else:
        folder, chunks = _at_home(place), Inlined()
        thumbnails = Thumbnails(pictures.original, folder)
    content = _content(journal, measuring, judgement)
    with thumbnails:
        collect(measuring, content, pictures, thumbnails, chunks, a_chunk, progress)
    name = printable(os.fsencode(Path(os.path.realpath(request.out)).name))
    numbers = content.numbers_of_classes
    summary = [
        *overview(measuring.found, counts),
        *(accuracy(judgement.evaluation, numbers.get) if judgement else ()),
        *([differences(changes)] if changes else ()),
        *distributions(measuring.found, numbers.get),
    ]
    _write_page(place.page, name, summary, content.head(name, chunks.addresses), chunks)
    _remove_unneeded(place, folder, chunks.needed | thumbnails.needed)
    return Written(
        place.page,
        place.beside if chunks.addresses else None,
        content.images,
        len(chunks.addresses),
        len(thumbnails.needed),
        thumbnails.made,
        thumbnails.missing,
    )


def _judge(request: Request) -> Judgement | None:
    if request.ground_truth is None:
        if request.iou != "bbox":
            raise UsageError(
                f"--iou {request.iou} compares with a ground truth: give it with --ground-truth"
            )
        return None
    return evaluation.judge(evaluation.Request(request.out, request.ground_truth, request.iou))


def _compare(request: Request) -> Diff | None:
    if request.against is None:
        return None
    if os.path.realpath(request.against) == os.path.realpath(request.out):
        return diff(request.out, None)
    return diff(request.against, request.out)


def _at_home(place: Places) -> Folder | None:
    """Where thumbnails are kept for the next report; None where that can't be: nothing is lost."""
    with suppress(OutputError, UsageError):
        return Folder(place.home)
    return None


def _content(journal: Journal, measuring: Measuring, judgement: Judgement | None) -> Content:
    spec, exported = measuring.spec, journal.exports.policy()
    names = journal.exports.class_ids.given()
    if spec.classes is not None:
        names = tuple(one.name for one in spec.classes)
    chosen = spec if exported is None else settled.apply(spec, settled.chosen_by_export(exported))
    kept = {assigned.split for _, assigned in journal.exports.assignments.each()}
    return Content(
        names,
        [name for name in SPLITS if name in kept],
        partial(is_chosen, spec=chosen),
        None if judgement is None else judgement.verdicts,
    )


def _write_page(page: Path, name: str, summary: list[Html], head: Any, chunks: Chunks) -> None:
    code = skeleton.script()
    begin, digest = markup.script(markup.call("begin", head))
    parts: dict[str, Iterable[str]] = {
        "title": [markup.text(name)],
        "style": [skeleton.style()],
        "hashes": [" ".join([markup.digest(code), digest, *chunks.hashes])],
        "summary": summary,
        "script": [code],
        "data": chain([begin], chunks.in_page()),
    }
    with replacing(page) as file:
        for piece in skeleton.fill(parts):
            file.write(piece.encode("utf-8", "xmlcharrefreplace"))


def _remove_unneeded(place: Places, folder: Folder | None, needed: set[str]) -> None:
    """Remove what earlier reports left where the page is."""
    if folder is not None and os.path.realpath(folder.path) == os.path.realpath(place.beside):
        folder.remove_all_but(needed)
    elif is_of_report(os.fsencode(place.beside)) and not place.beside.is_symlink():
        Folder(place.beside).remove_all_but(())
