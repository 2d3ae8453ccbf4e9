"""What the commands print: results to standard output, everything else to standard error."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from florence_annotate.cli import bottleneck
from florence_annotate.cli.ending import Interrupted, print_json
from florence_annotate.cli.progress import ScreenReporter
from florence_annotate.formats.holding import LEFT_OVER
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
    for line in (*_remarks_of_run(summary), *_remarks_of_images(summary)):
        typer.echo(line)
    if images["failed"]:
        typer.echo(f"{_count(images['failed'], 'image')} failed: {command('failures', out)}")
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
        + _count(summary["instances"], "instance")
        + (f", {_count(summary['captions'], 'caption')}" if summary["captions"] else "")
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
    for line in [*(_remarks_of_run(summary) if of_run else ()), *_remarks(summary)]:
        console.print(line, markup=False)
    for line in _written(summary, out):
        console.print(line, markup=False)
    if images["failed"]:
        line = f"{_count(images['failed'], 'image')} failed: {command('failures', out)}"
        console.print(line, style="bold", markup=False)


def _shown_classes(summary: dict[str, Any]) -> tuple[list[tuple[str, int]], int]:
    """Classes with their counts, and how many are left out: the most frequent of many labels."""
    classes = list(summary["classes"].items())
    # who gave a class list wants to see each
    if summary["settings"]["classes"] or len(classes) <= _SHOWN_LABELS:
        return classes, 0
    most = sorted(classes, key=lambda pair: pair[1], reverse=True)[:_SHOWN_LABELS]
    return most, len(classes) - len(most)


def _remarks_of_run(summary: dict[str, Any]) -> list[str]:
    remarks = []
    if left := summary["left_dataset"]:
        remarks.append(told(left))
    if skipped := summary["run"].get("skipped"):
        some = "; ".join(f"{entry['name']}: {entry['reason']}" for entry in skipped[:3])
        remarks.append(f"skipped {len(skipped)}: {some}")
    if slow := bottleneck.remark(summary["run"], summary["settings"]):
        remarks.append(slow)
    return remarks


def _remarks(summary: dict[str, Any]) -> list[str]:
    remarks = []
    if not_asked := summary["images_not_asked"]:
        remarks.append(
            f"{_count(not_asked, 'image')} without a text or a region: nothing was asked, so the "
            "dataset leaves them out (what comes later counts with --restart)"
        )
    if not_included := summary["images_not_included"]:
        remarks.append(f"{_count(not_included, 'image')} left out by --include or --exclude")
    if unlabelled := summary["images_without_labels"]:
        remarks.append(f"{_count(unlabelled, 'image')} without a label left out by --labelled-only")
    if summary["dropped"]:
        reasons = ", ".join(f"{count} {reason}" for reason, count in summary["dropped"].items())
        remarks.append(f"left out of the dataset, kept in the journal: {reasons}")
    if large := summary["boxes_over_0.9_of_the_image"]:
        said = "1 box covers" if large == 1 else f"{large} boxes cover"
        remarks.append(f"{said} over 0.9 of the image: --max-area 0.9 leaves such out")
    if pairs := summary["pairs_of_classes_over_0.9_iou"]:
        remarks.append(
            f"{_count(pairs, 'pair')} of boxes of different classes in one place (IoU over 0.9): "
            "--nms-across-classes 0.9 keeps the better"
        )
    if summary["settings"]["classes"] and (without := summary["classes_without_instances"]):
        near = (f"{name} ({label} was said)" if label else name for name, label in without.items())
        remarks.append(f"nothing was found of: {', '.join(near)}")
    if summary["unmapped_labels"]:
        labels = list(summary["unmapped_labels"].items())
        some = ", ".join(f"{label} ({count})" for label, count in labels[:8])
        more = f" and {len(labels) - 8} more" if len(labels) > 8 else ""
        remarks.append(f"labels that belong to no class: {some}{more}")
    if summary["truncated"]:
        count = len(summary["truncated"])
        have = "has" if count == 1 else "have"
        remarks.append(
            f"{_count(count, 'image')} {have} an answer cut at the token limit: see summary.json"
        )
    for where, name in (("the dataset", "left_out"), ("YOLO", "yolo_left_out")):
        if left_out := summary[name]:
            some = "; ".join(f"{key}: {reason}" for key, reason in list(left_out.items())[:3])
            more = " …" if len(left_out) > 3 else ""
            are = "is" if len(left_out) == 1 else "are"
            counted = _count(len(left_out), "image")
            remarks.append(f"{counted} {are} not in {where}: {some}{more}")
    if without := summary["instances_without_mask"]:
        remarks.append(f"{_count(without, 'instance')} without a mask: not in YOLO's outlines")
    for split in summary["splits_without_images"]:
        remarks.append(f"the split {split} has no image, and data.yaml no folder of its own for it")
    for split in summary["splits_without_results"]:
        remarks.append(
            f"no result in the split {split}: there is no annotations/results_{split}.json, since "
            "pycocotools loads no empty one"
        )
    if copied := summary["images_copied_instead_of_linked"]:
        remarks.append(f"{_count(copied, 'image')} copied, since no link could be made")
    if summary["has_other_class_ids"]:
        remarks.append("class ids are those of the list from now on")
    if moved := summary["images_moved_to_another_split"]:
        remarks.append(f"{_count(moved, 'image')} moved to another split, as it was asked for")
    if summary["split_by_folders"]:
        remarks.append(
            "split as the source's own folders are named, train, val (valid, validation) and test: "
            "--split, --split-by or --split-file choose otherwise"
        )
    if unlisted := summary["split_file_names_without_image"]:
        some = ", ".join(map(repr, unlisted[:3])) + (" …" if len(unlisted) > 3 else "")
        fit = "fits" if len(unlisted) == 1 else "fit"
        remarks.append(f"{_count(len(unlisted), 'name')} of --split-file {fit} no image: {some}")
    if held := summary["held"]:
        by_weight = sorted(held.items(), key=lambda each: each[1] != LEFT_OVER)
        some = "; ".join(f"{path}: {why}" for path, why in by_weight[:3])
        more = " …" if len(held) > 3 else ""
        remarks.append(
            f"{_count(len(held), 'file')} left as found: {some}{more} (--overwrite gives them up)"
        )
    return remarks + _remarks_of_images(summary)


def _remarks_of_images(summary: dict[str, Any]) -> list[str]:
    remarks = []
    if beyond := summary["images"]["beyond_limit"]:
        remarks.append(f"--limit left out {_count(beyond, 'image')} that nothing was asked about")
    if pending := summary["images"]["pending"]:
        remarks.append(f"{_count(pending, 'image')} not annotated yet")
    return remarks


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


def _count(count: int, noun: str) -> str:
    return f"1 {noun}" if count == 1 else f"{count} {noun}s"


def command(name: str, out: Path, *options: str) -> str:
    return in_shell("florence-annotate", name, str(out), *options)
