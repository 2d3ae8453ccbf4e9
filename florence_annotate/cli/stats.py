"""`florence-annotate stats`."""

from typing import Annotated

import typer

from florence_annotate.cli import ending, flags


def stats(
    out: flags.Out,
    near_identical: Annotated[
        bool,
        typer.Option(
            "--near-identical",
            help="Also list images that look nearly the same; reads every image.",
        ),
    ] = False,
    as_json: flags.AsJson = False,
) -> None:
    """Count what a job holds: classes, scores, sizes, what is left out, and by other thresholds.

    What is kept and left out is as the next export has it: by policy.yaml as it is now.
    """
    from florence_annotate.cli import measured
    from florence_annotate.dataset.opening import last_spec
    from florence_annotate.journal import Journal
    from florence_annotate.reports.measuring import measure
    from florence_annotate.reports.near_identical import find_near_identical

    with Journal.open_existing(out) as journal:
        found, counts = measure(journal, out), journal.counts()
        same = None
        if near_identical:
            same = find_near_identical(journal, last_spec(journal).max_pixels)
    if as_json:
        ending.print_json(measured.to_json(found, counts, same))
    else:
        measured.show(found, counts, same, out)
