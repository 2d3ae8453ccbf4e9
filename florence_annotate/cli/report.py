"""`florence-annotate report`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from florence_annotate.cli import ending, flags
from florence_annotate.cli.progress import RunProgress


def report(
    out: flags.Out,
    page: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE.html",
            help="Where the page goes. [default: OUT/report.html]",
            show_default=False,
        ),
    ] = None,
    ground_truth: Annotated[Path | None, flags.GROUND_TRUTH] = None,
    iou: Annotated[str, flags.IOU] = "bbox",
    against: Annotated[
        Path | None,
        typer.Option(
            "--against",
            metavar="OTHER",
            help="Tell what changed since the dataset in another output folder; with OUT itself, "
            "since its latest export that was otherwise.",
            show_default=False,
        ),
    ] = None,
    as_json: flags.AsJson = False,
) -> None:
    """Write a page with figures, charts and all images, that a browser opens without a network.

    What is kept and left out is as the next export has it: by policy.yaml as it is now. Up to
    1,000 images are in the one file; of more, thumbnails and data lie in a folder beside it.
    """
    from florence_annotate.journal import Journal
    from florence_annotate.reports.page.writing import Request, write_report

    with Journal.open_existing(out) as journal:
        counts = journal.counts()
        total = counts.annotated + counts.failed
        request = Request(out, page, ground_truth, iou, against)  # type: ignore[arg-type]
        with RunProgress(total, sys.stderr, quiet=as_json) as bar:
            written = write_report(journal, request, bar.advance)
    if as_json:
        ending.print_json(written.to_json())
        return
    where = f", with {written.folder.name}/ beside it" if written.folder else ""
    typer.echo(f"written: {written.page}{where}")
    if count := written.without_picture:
        images, their = (
            ("1 image has", "its file is gone or was")
            if count == 1
            else (f"{count} images have", "their files are gone or were")
        )
        typer.echo(f"{images} no picture on it: {their} changed")
