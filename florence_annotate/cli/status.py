"""`florence-annotate status`."""

from dataclasses import asdict
from typing import Any

import typer

from florence_annotate.cli import ending, flags, screen
from florence_annotate.journal.lock import Holder


def status(out: flags.Out, as_json: flags.AsJson = False) -> None:
    """Say how far a job is, whether it runs, and how to go on; also while it runs."""
    from florence_annotate.dataset import opening
    from florence_annotate.jobs import fingerprint, merging, sharding, state
    from florence_annotate.jobs.state import State

    state.refuse_unbegun(out)
    # it goes by how many images there are, and by nothing that is kept of any
    with opening.open_journal(out, checks_images=False) as journal:
        seen = state.look(out, journal)
        counts = journal.counts()
        bound = fingerprint.describe(journal) or {}
        report = journal.runs.last_report()
        is_mixed = not journal.exports.is_finished()
        elsewhere = journal.places.half_written()
        has_run = bool(journal.runs.last())
        shard, is_half_merged = sharding.of(journal), merging.is_unfinished(journal)
        is_merged = merging.was_last(journal)
    is_unfinished = seen.state in (State.STOPPED, State.INTERRUPTED)
    if seen.state is State.RUNNING:
        is_mixed, elsewhere = False, []  # it may be the one that writes them
    go_on = None
    if (is_unfinished or is_mixed) and has_run and not is_half_merged:
        is_run = is_unfinished and not is_merged
        go_on = screen.command("resume" if is_run else "export", out)
    if as_json:
        values = {**asdict(counts), "pending": counts.pending, "state": seen.state}
        values |= {"process": _process(seen.process), "go_on": go_on}
        values |= {"images_per_second": seen.images_per_second, "export_is_unfinished": is_mixed}
        values["unfinished_elsewhere"] = [str(folder) for folder in elsewhere]
        values |= {"shard": shard and str(shard), "fingerprint": bound, "last_run": report}
        ending.print_json(values)
        return
    done = counts.annotated + counts.failed
    typer.echo(f"{done} of {counts.images} images done, {counts.pending} to do")
    if seen.state is State.RUNNING:
        rate = seen.images_per_second
        typer.echo(f"running    {seen.process}" + (f", {rate:.2f} images/s so far" if rate else ""))
    elif seen.state is State.STOPPED:
        who = seen.process or "the last run"
        typer.echo(f"stopped    {who}: it ended before it was done; what was committed is safe")
    elif seen.state is State.INTERRUPTED:
        typer.echo("stopped    by a signal, in order")
    if is_mixed:
        typer.echo("dataset    half-written, by a command that was killed")
    if go_on:
        typer.echo(f"go on      {go_on}")
    elif is_unfinished:
        begun_by = "merge" if is_half_merged else "run"
        typer.echo(f"go on      give the '{begun_by}' again that began it")
    for folder in elsewhere:
        typer.echo(f"dataset    {folder} is half-written, by a command that was killed")
        typer.echo(f"go on      {screen.command('export', out, '-o', str(folder))}")
    typer.echo(f"annotated  {counts.annotated}")
    typer.echo(f"failed     {counts.failed}")
    if counts.beyond_limit:
        typer.echo(f"left out   {counts.beyond_limit} by --limit")
    if shard:
        typer.echo(f"shard      {shard}, of which no dataset is written")
        typer.echo(f"merge      once all are done: {sharding.merge_command(out, shard)}")
    if bound:
        typer.echo(f"model      {bound['model']}, {bound['dtype']}")
        asked = [f"{task} {text or ''}".strip() for task, text in bound["questions"]]
        typer.echo(f"asks       {'; '.join(asked)}")


def _process(holder: Holder | None) -> dict[str, Any] | None:
    if holder is None:
        return None
    since = holder.since and holder.since.isoformat()
    return {"pid": holder.pid, "host": holder.host, "since": since}
