"""All commands, as one command line."""

import typer

from florence_annotate.cli import (
    demo,
    diff,
    doctor,
    ending,
    evaluate,
    explain,
    export,
    failures,
    merge,
    models,
    report,
    resume,
    run,
    stats,
    status,
    tasks,
)
from florence_annotate.cli.commands import Command, Group

app = typer.Typer(
    name=ending.NAME,
    cls=Group,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)


def _show_version(asked: bool) -> None:
    if asked:
        from florence_annotate.version import __version__

        typer.echo(f"florence-annotate {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    context: typer.Context,
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Turn folders of images into YOLO and COCO datasets with Microsoft's Florence-2.

    Begin with: florence-annotate run ./images --classes person,car

    Exit codes: 0 done; 1 could not run; 2 usage; 3 done, but a gate is missed, such as
    --max-failures or --fail-under, or files could not be written; 130 interrupted, and the same
    command goes on.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


app.command("run", cls=Command)(run.run)
app.command("resume", cls=Command)(resume.resume)
app.command("export", cls=Command)(export.export)
app.command("merge", cls=Command)(merge.merge)
app.command("eval", cls=Command)(evaluate.evaluate)
app.command("diff", cls=Command)(diff.diff)
app.command("status", cls=Command)(status.status)
app.command("failures", cls=Command)(failures.failures)
app.command("explain", cls=Command)(explain.explain)
app.command("stats", cls=Command)(stats.stats)
app.command("report", cls=Command)(report.report)
app.command("demo", cls=Command)(demo.demo)
app.command("doctor", cls=Command)(doctor.doctor)
app.command("models", cls=Command)(models.list_models)
app.command("tasks", cls=Command)(tasks.list_tasks)
