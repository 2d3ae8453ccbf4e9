"""Where our commands differ from typer's: `--help` is plain text in which every flag, choice and
example stays whole in 80 columns, and what was stopped or misspelled is told in our words."""

import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

from typer.core import TyperCommand, TyperGroup

from florence_annotate.cli import ending
from florence_annotate.cli.command_line import in_command
from florence_annotate.errors import UsageError, nearest

_NAMES = 26
"""Columns for flags and what they take; what is longer has a line of its own."""

Row = tuple[str, str]
"""What stands on the left, and what it does."""


class Command(TyperCommand):
    """One command, with its flags under the headings of their panels."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        formatter.write(_page(self, ctx, formatter.width, _sections(self, ctx)))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        with in_command(ctx):
            return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return ["[OPTIONS]", *(each.metavar for each in _arguments(self, ctx))]


class Group(TyperGroup):
    """All commands."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        commands = [(name, _first_paragraph(each.help)) for name, each in self.commands.items()]
        sections = {**_sections(self, ctx), "Commands": commands}
        formatter.write(_page(self, ctx, formatter.width, sections))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        with in_command(ctx):
            return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] not in self.commands and not args[0].startswith("-"):
            see = f"choose one of {', '.join(self.commands)}"
            meant = nearest(args[0], self.commands)
            raise UsageError(f"there is no command {args[0]!r}: {meant or see}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise ending.Interrupted(ending.AT_ONCE) from error


def _page(command: Any, ctx: Any, width: int, sections: dict[str, list[Row]]) -> str:
    usage = " ".join([ctx.command_path, *command.collect_usage_pieces(ctx)])
    lines = [f"Usage: {usage}"]
    for paragraph in (command.help or "").split("\n\n"):
        lines += ["", *_wrap(paragraph, width, "  ", after="  " if paragraph[:2] == "- " else "")]
    for title, rows in sections.items():
        lines += ["", f"{title}:", *_table(rows, width)]
    return "\n".join(lines) + "\n"


def _sections(command: Any, ctx: Any) -> dict[str, list[Row]]:
    """Heading → arguments or flags, in the order in which the command declares them."""
    sections: dict[str, list[Row]] = {}
    if arguments := [(each.metavar, each.help) for each in _arguments(command, ctx)]:
        sections["Arguments"] = arguments
    for each in command.get_params(ctx):
        if each.param_type_name == "option" and (row := each.get_help_record(ctx)):
            panel = getattr(each, "rich_help_panel", None)  # older versions' --help has none
            sections.setdefault(panel or "Options", []).append(row)
    if plain := sections.pop("Options", None):
        sections["Options"] = plain  # those without a panel, --help among them, stand last
    return sections


def _arguments(command: Any, ctx: Any) -> list[Any]:
    return [each for each in command.get_params(ctx) if each.param_type_name == "argument"]


def _table(rows: Iterable[Row], width: int) -> Iterator[str]:
    for names, about in rows:
        indent = " " * (2 + _NAMES + 2)
        first, *more = _wrap(about.replace("`", ""), width, indent) or [""]
        if len(names) > _NAMES:
            yield f"  {names}"
            yield first
        else:
            yield f"  {names}".ljust(len(indent)) + first.lstrip()
        yield from more


def _wrap(text: str, width: int, indent: str, after: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent + after,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _first_paragraph(text: str | None) -> str:
    return " ".join((text or "").split("\n\n")[0].split())
