"""`florence-annotate merge`."""

from pathlib import Path
from typing import Annotated

import typer

from florence_annotate.cli import ending, flags, screen
from florence_annotate.cli.flags import in_panels, with_settings
from florence_annotate.declaration import Panel


@with_settings(after={"policy": in_panels(Panel.DATASET, Panel.GATES)})
def merge(
    outs: Annotated[
        list[Path],
        typer.Argument(
            help="Output folders of the jobs, such as the shards of one; where they say different "
            "things of an image, the first one counts. They are read, and stay as they are.",
            metavar="OUT...",
        ),
    ],
    settings: flags.Settings,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Where the job goes that they become, with its dataset; or where they were merged "
            "before, to take over what they have got since.",
            rich_help_panel=Panel.DATASET,
        ),
    ],
    policy: Annotated[
        Path | None,
        typer.Option(
            "--policy",
            metavar="FILE|OUT",
            help="Begin with the policy in this file, or with that of this one of the jobs; needed "
            "where theirs differ.",
            rich_help_panel=Panel.DATASET,
        ),
    ] = None,
    allow_missing: Annotated[
        bool,
        typer.Option(
            "--allow-missing",
            help="Go on without shards that are not named, and without the images of a source that "
            "is not there, or of which a folder is empty or can't be read.",
            rich_help_panel=Panel.BEHAVIOUR,
        ),
    ] = False,
    as_json: flags.AsJson = False,
    quiet: flags.Quiet = False,
) -> None:
    """Make one job of several, as of the shards of a job array, and write its dataset.

    All must have asked the same questions in the same way. Ids and splits are those that one job
    would have given. Give the same command again to go on.

    Examples:

    - florence-annotate merge ./images-dataset-*-of-8 -o ./images-dataset
    """
    from florence_annotate.jobs import merge_plan, merging

    request = merge_plan.Request(
        outs=outs, out=output, settings=settings, policy=policy, allow_missing=allow_missing
    )
    try:
        result = merging.run(request, (lambda text: None) if quiet else screen.note)
    except KeyboardInterrupt as error:
        raise ending.Interrupted(f"{ending.AT_ONCE}; the same command goes on") from error
    screen.finish(result, output, None, of_run=False, as_json=as_json, quiet=quiet)
