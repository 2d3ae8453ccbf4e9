"""Tables of figures on the screen."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table


def figures(*left: str, right: Iterable[str]) -> Table:
    """A table without lines: columns of words with these heads, then columns of numbers."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in left:
        table.add_column(name)
    for name in right:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def show(console: Console, table: Table) -> None:
    """Print a table, set off from what is above it."""
    console.print()
    console.print(table)
