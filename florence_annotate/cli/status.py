"""`florence-annotate status`."""

from dataclasses import asdict

import typer

from florence_annotate.cli import flags, screen


def status(out: flags.Out, as_json: flags.AsJson = False) -> None:
    """Say how far a job is, also while it runs."""
    from florence_annotate.jobs import fingerprint
    from florence_annotate.journal import Journal

    with Journal.open_existing(out) as journal:
        counts = journal.counts()
        bound = fingerprint.describe(journal) or {}
        report = journal.last_report()
    if as_json:
        values = {**asdict(counts), "pending": counts.pending, "fingerprint": bound}
        screen.print_json({**values, "last_run": report})
        return
    done = counts.annotated + counts.failed
    typer.echo(f"{done} of {counts.images} images done, {counts.pending} to do")
    typer.echo(f"annotated  {counts.annotated}")
    typer.echo(f"failed     {counts.failed}")
    if counts.beyond_limit:
        typer.echo(f"left out   {counts.beyond_limit} by --limit")
    if bound:
        typer.echo(f"model      {bound['model']}, {bound['dtype']}")
        asked = [f"{task} {text or ''}".strip() for task, text in bound["questions"]]
        typer.echo(f"asks       {'; '.join(asked)}")
