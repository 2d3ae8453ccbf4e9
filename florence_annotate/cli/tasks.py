"""`florence-annotate tasks`."""

import typer

from florence_annotate import tasks
from florence_annotate.cli import ending, flags


def list_tasks(as_json: flags.AsJson = False) -> None:
    """List the tasks of Florence-2: what they take, and what they give."""
    if as_json:
        ending.print_json(
            [
                {
                    "name": task.name,
                    "token": task.token,
                    "prompt": task.prompt,
                    "takes": str(task.takes),
                    "gives": str(task.gives),
                }
                for task in tasks.TASKS
            ]
        )
        return
    line = "{:23} {:38} {:9} {}"
    typer.echo(line.format("task", "token", "takes", "gives"))
    for task in tasks.TASKS:
        typer.echo(line.format(task.name, task.token, task.takes, task.gives))
    typer.echo("A task can be named by its name or its token: --task detection, --task '<OD>'")
    typer.echo("What else a checkpoint was trained to answer: --prompt TEXT --gives text|boxes|…")
