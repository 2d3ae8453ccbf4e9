"""`florence-annotate diff`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from florence_annotate.cli import ending, flags, screen
from florence_annotate.config.gate_settings import as_share


def _share(text: object) -> Any:
    try:
        return as_share(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} won't do: {error}") from error


def diff(
    before: Annotated[Path, typer.Argument(help="Output folder of a job.", metavar="A")],
    after: Annotated[
        Path | None,
        typer.Argument(
            help="Another one, or a folder that export -o wrote. Without it, A now is compared "
            "with its latest export that was otherwise.",
            metavar="[B]",
            show_default=False,
        ),
    ] = None,
    max_changed: Annotated[
        Any,
        typer.Option(
            "--max-changed",
            metavar="P%",
            parser=_share,
            help="Exit with 3 where more instances changed, as a share of those in A; those on "
            "images that only B has do not count.",
            show_default=False,
        ),
    ] = None,
    as_json: flags.AsJson = False,
) -> None:
    """Say what changed between two datasets: images, and boxes by class and place.

    Boxes of one class that overlap by half or more are one thing, which may have moved or got
    another score; in the same place of another class it was relabelled; others were added or
    removed. Datasets count as their policy.yaml has them, exported or not. Nothing is written.
    """
    from florence_annotate.cli import diff_screen
    from florence_annotate.reports import comparing

    found = comparing.diff(before, after)
    missed = None if max_changed is None else found.missed(max_changed)
    if as_json:
        ending.print_json(found.to_json() | {"missed_gates": [] if missed is None else [missed]})
    else:
        diff_screen.show(found)
    if missed is not None:
        screen.note(missed)
        raise typer.Exit(3)
