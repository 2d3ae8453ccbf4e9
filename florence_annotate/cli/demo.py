"""`florence-annotate demo`."""

from pathlib import Path
from typing import Annotated

import typer

from florence_annotate.cli.flags import whole_number


def demo(
    directory: Annotated[Path, typer.Argument(help="Where the images go.", metavar="DIR")],
    count: Annotated[
        int, typer.Option(metavar="N", parser=whole_number, help="Number of images.")
    ] = 24,
    seed: Annotated[
        int,
        typer.Option(
            metavar="N",
            parser=whole_number,
            help="Seed of the first; above a million none was trained on.",
        ),
    ] = 2_000_000,
) -> None:
    """Paint images of shapes, with their ground truth, to try the program on.

    Then: florence-annotate run DIR --model shapes
    """
    from florence_annotate.errors import OutputError
    from florence_annotate.shapes.demo import write_demo

    try:
        written = write_demo(directory, count, seed)
    except OSError as error:
        raise OutputError.at(directory, error) from error
    typer.echo(f"{written.images} images with {written.objects} objects in {directory}")
