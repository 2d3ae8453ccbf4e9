"""`florence-annotate run`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from florence_annotate.cli import flags, screen
from florence_annotate.cli.flags import in_panels, with_settings
from florence_annotate.declaration import Panel, as_list


@with_settings(
    after={
        "output": in_panels(Panel.DATASET, Panel.TASK, Panel.MODEL, Panel.IMAGES, Panel.GATES),
        "preset": in_panels(Panel.BEHAVIOUR),
    }
)
def run(
    source: Annotated[
        list[str],
        typer.Argument(
            help="Folders, images, quoted patterns such as `'in/*.jpg'`, or @list.txt with one "
            "path a line.",
            metavar="SOURCE...",
        ),
    ],
    settings: flags.Settings,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Where the dataset goes. [default: SOURCE-dataset, beside a single folder; with "
            "--shard SOURCE-dataset-I-of-N]",
            rich_help_panel=Panel.DATASET,
        ),
    ] = None,
    preset: flags.Preset = None,
    retry_failed: flags.RetryFailed = False,
    restart: Annotated[
        bool,
        typer.Option(
            "--restart",
            help="Forget the job in the output folder and begin again.",
            rich_help_panel=Panel.BEHAVIOUR,
        ),
    ] = False,
    add_format: flags.AddFormat = None,
    allow_missing: flags.AllowMissing = False,
    push_to_hub: flags.PushToHub = None,
    overwrite: flags.Overwrite = False,
    renumber: flags.Renumber = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Say what would be done, and write nothing.",
            rich_help_panel=Panel.BEHAVIOUR,
        ),
    ] = False,
    as_json: flags.AsJson = False,
    quiet: flags.Quiet = False,
) -> None:
    """Annotate images and write a dataset. Give the same command again to go on.

    Examples:

    - florence-annotate run ./images --classes person,car

    - florence-annotate run ./images --classes-file classes.yaml --visuals --min-score 0.4

    - florence-annotate run ./images --recipe instance-segmentation --format yolo-seg,coco

    - florence-annotate run ./images --model large-ft --device cuda:0 --batch-size 32 -o ./out
    """
    from florence_annotate.config import job_spec
    from florence_annotate.errors import UsageError
    from florence_annotate.formats import hub
    from florence_annotate.jobs.job import Job, Switches
    from florence_annotate.jobs.output import default_output

    spec = job_spec.build({**settings, "sources": tuple(source)}, preset)
    out = Path(os.path.abspath(output)) if output else default_output(spec.sources, spec.part())
    if push_to_hub is not None and spec.shard is not None:
        raise UsageError(
            "--push-to-hub: a shard writes no dataset: merge all, then upload what that made with "
            "'florence-annotate export OUT --push-to-hub REPO'"
        )
    switches = Switches(
        restart=restart,
        overwrite=overwrite,
        renumber=renumber,
        allow_missing=allow_missing,
        add_formats=as_list(add_format or ""),
    )
    job = Job(spec, out, switches)
    if push_to_hub is not None:
        hub.refuse_unpublishable(push_to_hub, job.formats)
    if dry_run:
        screen.show_plan(job, job.foresee(retry_failed=retry_failed), as_json=as_json)
        return
    screen.run(
        job,
        push_to_hub=push_to_hub,
        as_json=as_json,
        quiet=quiet,
        retry_failed=retry_failed,
    )
