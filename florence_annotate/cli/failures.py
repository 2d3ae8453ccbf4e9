"""`florence-annotate failures`."""

import typer

from florence_annotate.cli import ending, flags


def failures(out: flags.Out, as_json: flags.AsJson = False) -> None:
    """List the images that could not be annotated, and why."""
    from florence_annotate.dataset import opening

    with opening.open_journal(out) as journal:
        failed = list(journal.failures())
    if as_json:
        ending.print_json(
            [
                {"key": f.ref.key, "stage": f.stage, "kind": f.kind, "message": f.message}
                for f in failed
            ]
        )
        return
    for failure in failed:
        typer.echo(f"{failure.ref.key}: {failure.kind} ({failure.stage}): {failure.message}")
    again = f": 'florence-annotate resume --retry-failed {out}' tries them again" if failed else ""
    typer.echo(f"{len(failed)} failed{again}", err=True)
