"""`florence-annotate resume`."""

from florence_annotate.cli import flags, screen
from florence_annotate.cli.flags import with_settings
from florence_annotate.config.job_spec import OPTIONS


@with_settings(
    after={"out": [name for name, option in OPTIONS.items() if option.help_of_resume]},
    panels=False,
)
def resume(
    out: flags.Out,
    settings: flags.Settings,
    retry_failed: flags.RetryFailed = False,
    allow_missing: flags.AllowMissing = False,
    overwrite: flags.Overwrite = False,
    as_json: flags.AsJson = False,
    quiet: flags.Quiet = False,
) -> None:
    """Go on with a job, with the settings of its last run."""
    from florence_annotate.config import job_spec
    from florence_annotate.dataset import opening
    from florence_annotate.jobs.job import Job, Switches

    with opening.open_journal(out) as journal:
        spec = opening.last_spec(journal)
    changed = job_spec.change(spec, settings)
    switches = Switches(overwrite=overwrite, allow_missing=allow_missing)
    job = Job(changed, out.absolute(), switches)
    screen.run(job, as_json=as_json, quiet=quiet, retry_failed=retry_failed)
