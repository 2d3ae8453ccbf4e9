"""`florence-annotate export`."""

from florence_annotate.cli import flags, screen
from florence_annotate.cli.flags import in_panels, with_settings
from florence_annotate.declaration import Panel


@with_settings(after={"out": in_panels(Panel.DATASET)})
def export(
    out: flags.Out,
    settings: flags.Settings,
    push_to_hub: flags.PushToHub = None,
    overwrite: flags.Overwrite = False,
    as_json: flags.AsJson = False,
    quiet: flags.Quiet = False,
) -> None:
    """Write a job's dataset again: other formats, thresholds or splits, without the model.

    What is not given stays as in the last run. A job that is not finished is exported as far as it
    is done.
    """
    from florence_annotate.config import job_spec
    from florence_annotate.dataset import opening
    from florence_annotate.formats import export as exporting
    from florence_annotate.formats import hub
    from florence_annotate.formats.registry import settle
    from florence_annotate.jobs import fingerprint
    from florence_annotate.journal import Journal, lock
    from florence_annotate.reports import summary as summary_reports

    with Journal.open_existing(out) as journal, lock.held(out):
        spec = job_spec.change(opening.last_spec(journal), settings)
        if push_to_hub is not None:
            names = settle(spec, opening.questions_of(journal))
            hub.refuse_unpublishable(push_to_hub, names)
        exported = exporting.export(journal, out.absolute(), spec, overwrite=overwrite)
        summary = summary_reports.summarise(
            journal, out.absolute(), spec, fingerprint.describe(journal), exported
        )
        summary_reports.write_summary(out, summary)
    screen.show_finished(summary, out.absolute(), push_to_hub, as_json=as_json, quiet=quiet)
