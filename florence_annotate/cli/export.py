"""`florence-annotate export`."""

from pathlib import Path
from typing import Annotated

import typer

from florence_annotate.cli import flags, screen
from florence_annotate.cli.flags import in_panels, with_settings
from florence_annotate.config.settings import CHOOSING
from florence_annotate.declaration import Panel, as_list


@with_settings(
    after={"add_format": [*in_panels(Panel.DATASET), *CHOOSING, *in_panels(Panel.GATES)]}
)
def export(
    out: flags.Out,
    settings: flags.Settings,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Write a whole dataset into another folder, with a policy of its own; OUT keeps "
            "its ids and splits, and must be writable too. [default: OUT]",
            rich_help_panel=Panel.DATASET,
        ),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option(
            "--policy",
            metavar="FILE",
            help="Go by this file for once, instead of the folder's policy.yaml; a new folder "
            "begins with it.",
            rich_help_panel=Panel.DATASET,
        ),
    ] = None,
    add_format: flags.AddFormat = None,
    allow_missing: flags.AllowMissing = False,
    push_to_hub: flags.PushToHub = None,
    overwrite: flags.Overwrite = False,
    renumber: flags.Renumber = False,
    as_json: flags.AsJson = False,
    quiet: flags.Quiet = False,
) -> None:
    """Write a job's dataset again: other formats, thresholds or splits, without the model.

    What is not given stays as policy.yaml has it, and what is given is written there. A job that is
    not finished is exported as far as it is done. Images that --include, --exclude or
    --labelled-only leave out come back with the next export that does not.
    """
    from florence_annotate.jobs import exporting

    request = exporting.Request(
        out,
        settings,
        output,
        policy,
        push_to_hub,
        overwrite=overwrite,
        renumber=renumber,
        allow_missing=allow_missing,
        add_formats=as_list(add_format or ""),
    )
    result = exporting.run(request, (lambda text: None) if quiet else screen.note)
    folder = result.folder if output else out
    screen.finish(result, folder, push_to_hub, of_run=False, as_json=as_json, quiet=quiet)
