"""What the commands print: results to standard output, everything else to standard error."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from florence_annotate.cli import remarks
from florence_annotate.cli.ending import Interrupted, print_json
from florence_annotate.cli.progress import ScreenReporter
from florence_annotate.images.keys import in_shell
from florence_annotate.images.shards import Shard
from florence_annotate.jobs.leaving import told
from florence_annotate.jobs.sharding import merge_command
from florence_annotate.journal import FILE_NAME

if TYPE_CHECKING:
    from florence_annotate.jobs.job import Job
    from florence_annotate.jobs.outlook import Outlook
    from florence_annotate.jobs.writing import Written

_SHOWN_LABELS = 20
"""Classes on the screen where no list of them was given: checkpoints may say hundreds of labels."""


def note(text: str) -> None:
    typer.echo(text, err=True)


def show_routes(job: "Job", *, quiet: bool) -> None:
    """For each class, the question that finds it."""
    if quiet:
        return
    if job.setup.checkpoint.name == "shapes":
        note("shapes is a demonstration checkpoint: it knows painted shapes, not photographs")
    for token in dict.fromkeys(token for _, token in job.setup.plan.routes):
        names = ", ".join(name for name, by in job.setup.plan.routes if by == token)
        note(f"asked by {token}: {names}")
    for name, meant in job.setup.unsaid.items():
        note(
            f"<OD> of this checkpoint is not known to say {name}: {meant or 'it may find none'} "
            "(--strategy auto asks for it by name)"
        )


def show_plan(job: "Job", outlook: "Outlook", *, as_json: bool) -> None:
    """`--dry-run`."""
    plan = {
        "output": str(job.out),
        **asdict(outlook),
        "skipped": [f"{skipped.name}: {skipped.reason}" for skipped in job.sources.skipped],
        "model": job.setup.checkpoint.name,
        "revision": job.setup.checkpoint.revision,
        "device": job.setup.place.name,
        "routes": dict(job.setup.plan.routes),
        "questions": [
            f"{question.task} {question.text or ''}".strip()
            for question in job.setup.plan.questions
        ],
        "formats": list(job.formats),
    }
    if as_json:
        print_json(plan)
        return
    left = plan.pop("left_dataset")
    for name, value in plan.items():
        typer.echo(f"{name:12} {_plain(value)}")
    if left:
        typer.echo(told(left))
    typer.echo("dry run: nothing was written")


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} by {how}" for name, how in value.items()) or "every label"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


def run(
    job: "Job", *, push_to_hub: str | None = None, as_json: bool, quiet: bool, retry_failed: bool
) -> None:
    """Run a job to its last screen and its exit code."""
    show_routes(job, quiet=quiet or as_json)
    try:
        finished = job.run(reporter=ScreenReporter(quiet=quiet), retry_failed=retry_failed)
    except KeyboardInterrupt as error:
        has_job = (job.out / FILE_NAME).exists()
        safe = f"; what was committed is safe. Go on: {command('resume', job.out)}"
        raise Interrupted(f"stopped at once{safe if has_job else ''}") from error
    if finished.interrupted:
        if as_json:
            _print_summary(job.out)
        _show_interrupted(finished.summary, job.out)
        raise typer.Exit(130)
    if (shard := job.spec.part()) is not None:
        _show_shard(finished.summary, job.out, shard, as_json=as_json, quiet=quiet)
        return
    finish(finished, job.out, push_to_hub, of_run=True, as_json=as_json, quiet=quiet)


def finish(
    written: "Written",
    out: Path,
    push_to_hub: str | None,
    *,
    of_run: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """The result of a run or an export, and its upload. Raises ExportError where that fails.

    Names each gate that is missed; raises Exit where there is one, or files were not written. Such
    a dataset is not uploaded.
    """
    summary, is_short = written.summary, bool(written.missed_gates or written.unwritten)
    if not (quiet or as_json):
        _show_summary(summary, out, of_run=of_run)
    if push_to_hub and not is_short:
        from florence_annotate.formats import hub

        note(f"uploaded to {hub.push(out, push_to_hub, summary)}")
    if as_json:  # last, since an upload that fails is told as JSON too
        _print_summary(out)
    for line in written.missed_gates:
        note(line)
    if push_to_hub and is_short:
        note(f"not uploaded to {push_to_hub}; 'export' without gates uploads it as it is")
    if is_short:
        raise typer.Exit(3)


def _print_summary(out: Path) -> None:
    from florence_annotate.reports.summary import text_of

    sys.stdout.writelines(text_of(out))
    sys.stdout.flush()


def _show_interrupted(summary: dict[str, Any], out: Path) -> None:
    images = summary["images"]
    done = images["annotated"] + images["failed"]
    note(f"interrupted: {done} of {images['images']} images are safe in {out / FILE_NAME}")
    note(f"go on:               {command('resume', out)}")
    if summary["settings"]["shard"] is None:
        note(f"export what is done: {command('export', out)}")


def _show_shard(
    summary: dict[str, Any], out: Path, shard: Shard, *, as_json: bool, quiet: bool
) -> None:
    """The end of a run that writes no dataset; whether it is good enough is judged of all shards
    together."""
    if as_json:
        _print_summary(out)
    if as_json or quiet:
        return
    images = summary["images"]
    typer.echo(f"\n{images['annotated']} of {images['images']} images of shard {shard} annotated")
    for line in (*remarks.of_run(summary), *remarks.of_images(summary)):
        typer.echo(line)
    if images["failed"]:
        typer.echo(f"{remarks.count(images['failed'], 'image')} failed: {command('failures', out)}")
    typer.echo(f"once all {shard.count} are done: {merge_command(out, shard)}")


def _show_summary(summary: dict[str, Any], out: Path, *, of_run: bool) -> None:
    """What was written, where, of which classes, and what needs a look.

    What the last run met is told after that alone, and not by every export that follows.
    """
    console = Console(highlight=False, soft_wrap=True)
    images = summary["images"]
    rate = summary["run"].get("images_per_second") if of_run else None
    console.print(
        f"\n{images['annotated']} of {images['images']} images annotated, "
        + remarks.count(summary["instances"], "instance")
        + (f", {remarks.count(summary['captions'], 'caption')}" if summary["captions"] else "")
        + (f", {rate:.2f} images/s" if rate else "")
    )
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(justify="right")
    table.add_column()
    classes, more = _shown_classes(summary)
    for name, count in classes:
        table.add_row(str(count), escape(name))
    console.print(table)
    if more:
        console.print(f"and {more} more; summary.json has all", markup=False)
    for line in [*(remarks.of_run(summary) if of_run else ()), *remarks.of_dataset(summary)]:
        console.print(line, markup=False)
    for line in _written(summary, out):
        console.print(line, markup=False)
    if images["failed"]:
        line = f"{remarks.count(images['failed'], 'image')} failed: {command('failures', out)}"
        console.print(line, style="bold", markup=False)


def _shown_classes(summary: dict[str, Any]) -> tuple[list[tuple[str, int]], int]:
    """Classes with their counts, and how many are left out: the most frequent of many labels."""
    classes = list(summary["classes"].items())
    # who gave a class list wants to see each
    if summary["settings"]["classes"] or len(classes) <= _SHOWN_LABELS:
        return classes, 0
    most = sorted(classes, key=lambda pair: pair[1], reverse=True)[:_SHOWN_LABELS]
    return most, len(classes) - len(most)


def _written(summary: dict[str, Any], out: Path) -> list[str]:
    from florence_annotate.formats.registry import FORMATS

    lines = [f"\n{out}"]
    lines += [f"  {FORMATS[name].files:29} {FORMATS[name].about}" for name in summary["formats"]]
    if summary["settings"]["images"] != "none":
        lines.append("  images/                       the images" + _say_hard_links(summary))
    if summary["settings"]["visuals"]:
        lines.append("  visuals/                      images with boxes")
    lines.append("  policy.yaml                   what was settled; edit it, or give flags")
    lines.append("  summary.json                  counts, failures, settings, versions, hashes")
    return lines


def _say_hard_links(summary: dict[str, Any]) -> str:
    if not summary["images_hard_linked"]:
        return ""
    return ", as hard links: to edit one in place edits the original (--images copy makes copies)"


def command(name: str, out: Path, *options: str) -> str:
    return in_shell("florence-annotate", name, str(out), *options)
