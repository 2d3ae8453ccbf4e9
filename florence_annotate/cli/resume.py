"""`florence-annotate resume`."""

from typing import Annotated

import typer

from florence_annotate.cli import options, screen


def resume(
    out: options.Out,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="auto|cpu|cuda[:N]|mps", help="Run on another device than the last run."
        ),
    ] = None,
    batch_size: Annotated[
        str | None, typer.Option(metavar="N|auto", help="Another batch size than the last run's.")
    ] = None,
    retry_failed: options.RetryFailed = False,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Go on with a job, with the settings of its last run."""
    from florence_annotate.config import job_spec
    from florence_annotate.dataset import opening
    from florence_annotate.jobs.job import Job
    from florence_annotate.journal import Journal

    with Journal.open_existing(out) as journal:
        spec = opening.last_spec(journal)
    spec = job_spec.change(spec, {"device": device, "batch_size": batch_size})
    job = Job(spec, out.absolute())
    screen.run(job, as_json=as_json, quiet=quiet, retry_failed=retry_failed, overwrite=overwrite)
