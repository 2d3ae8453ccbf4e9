"""`florence-annotate eval`."""

from pathlib import Path
from typing import Annotated

import typer

from florence_annotate.cli import ending, flags, screen


def evaluate(
    out: flags.Out,
    ground_truth: Annotated[Path, flags.GROUND_TRUTH],
    iou: Annotated[str, flags.IOU] = "bbox",
    fail_under: Annotated[
        str | None,
        typer.Option(
            "--fail-under",
            metavar="FIGURE=LEAST,…",
            help="Exit with 3 where a figure is lower: ap50=0.6, or of one class "
            "car.precision=0.9.",
            show_default=False,
        ),
    ] = None,
    as_json: flags.AsJson = False,
) -> None:
    """Say how good a job's labels are, against what is true of its images.

    Average precision, calibration and the best threshold are told whatever the score; precision,
    recall and confusion as policy.yaml has the dataset now. Nothing is written.
    """
    from florence_annotate.cli import evaluation_screen
    from florence_annotate.evaluation.job import Request
    from florence_annotate.evaluation.job import evaluate as evaluate_job

    found = evaluate_job(Request(out, ground_truth, iou, fail_under))  # type: ignore[arg-type]
    if as_json:
        ending.print_json(found.to_json())
    else:
        evaluation_screen.show(found)
    for line in found.missed_gates:
        screen.note(line)
    if found.missed_gates:
        raise typer.Exit(3)
