"""`florence-annotate tasks`."""

import typer
from rich.console import Console
from rich.table import Table

from florence_annotate import tasks
from florence_annotate.cli import options, screen


def list_tasks(as_json: options.AsJson = False) -> None:
    """List the tasks of Florence-2, and which of them write datasets."""
    if as_json:
        screen.print_json(
            [
                {
                    "name": task.name,
                    "token": task.token,
                    "prompt": task.prompt,
                    "takes": str(task.takes),
                    "gives": str(task.gives),
                    "annotates": task.annotates,
                }
                for task in tasks.TASKS
            ]
        )
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("task", "token", "takes", "gives", "run --task"):
        table.add_column(heading, no_wrap=True)
    for task in tasks.TASKS:
        usable = "yes" if task.annotates else "not yet"
        table.add_row(task.name, task.token, str(task.takes), str(task.gives), usable)
    Console(soft_wrap=True, highlight=False, markup=False).print(table)
    typer.echo("A task can be named by its name or its token: --task detection, --task '<OD>'")
