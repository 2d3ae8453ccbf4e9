"""`florence-annotate explain`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from florence_annotate.cli import ending, flags, screen
from florence_annotate.errors import UsageError

if TYPE_CHECKING:
    from florence_annotate.reports.around_point import Around


def explain(
    out: flags.Out,
    image: Annotated[
        str,
        typer.Argument(
            metavar="IMAGE",
            help="Its key, its path, its name in the dataset, or the end of its key.",
        ),
    ],
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="X,Y",
            help="Where is my box? What the model said about this point, in pixels of the upright "
            "image, and what to try.",
        ),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(
            "--picture",
            metavar="FILE",
            help="Draw the image into a new file: kept boxes as in the visuals, dropped ones in "
            "dashes, with the reason.",
        ),
    ] = None,
    as_json: flags.AsJson = False,
) -> None:
    """Say what the model said about an image, what is left out of it, and what brings it back.

    What is kept and left out is as the next export has it: by policy.yaml as it is now.
    """
    from florence_annotate.cli import explained
    from florence_annotate.journal import Journal
    from florence_annotate.reports import explanation as explanations
    from florence_annotate.reports.around_point import look_around
    from florence_annotate.reports.picture import write_picture

    point = None if at is None else _point(at)
    around: Around | None = None
    with Journal.open_existing(out) as journal:
        explanation = explanations.explain(journal, out, image)
        if point is not None:
            around = look_around(explanation, *point)
        if picture is not None:
            write_picture(journal, out, explanation, picture)
    if as_json:
        ending.print_json(explained.to_json(explanation, around))
    elif around is not None:
        explained.show_around(explanation, around, out)
    else:
        explained.show(explanation, out)
    if picture is not None:
        screen.note(f"drawn: {picture}")


def _point(text: str) -> tuple[float, float]:
    try:
        x, y = map(float, text.split(","))
    except ValueError as error:
        raise UsageError(f"--at: {text!r} won't do: write X,Y in pixels, as 120,80") from error
    return x, y
