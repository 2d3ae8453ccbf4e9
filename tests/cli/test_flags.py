"""The flags of the commands, made from the declarations of the settings."""

import importlib.util
import re
from pathlib import Path

import pytest
import typer
from conftest import command

from florence_annotate.cli.app import app
from florence_annotate.config import presets
from florence_annotate.config.job_spec import OPTIONS, flag_of
from florence_annotate.config.settings import CHOOSING
from florence_annotate.declaration import Panel
from florence_annotate.formats.registry import FORMATS

DOCS = Path(__file__).parents[2] / "docs"


COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def help_of(name: str) -> str:
    result = command(name, "--help")
    assert result.code == 0
    return result.out


def flags_of(name: str) -> list[str]:
    """The flags that stand at the beginning of a line of the help, in its order."""
    rows = re.findall(r"^  (-.*?)(?:  |$)", help_of(name), re.MULTILINE)
    return [word.rstrip(",") for row in rows for word in row.split() if word.startswith("-")]


def test_the_help_of_run_has_every_setting_and_export_those_of_the_dataset() -> None:
    of_run, of_export = flags_of("run"), flags_of("export")
    for name, option in OPTIONS.items():
        assert flag_of(name) in of_run
        is_exports = option.panel in (Panel.DATASET, Panel.GATES) or name in CHOOSING
        assert (flag_of(name) in of_export) is is_exports


def test_the_help_lists_formats_presets_values_and_defaults() -> None:
    of_run = " ".join(help_of("run").split())
    assert f"Formats to write: {', '.join(FORMATS)}." in of_run
    assert f"({', '.join(presets.names())})" in of_run
    assert "[default: train=0.8,val=0.2; where the source has folders" in of_run
    assert "[default: 178956970]" in of_run


@pytest.mark.parametrize("name", COMMANDS)
def test_in_80_columns_every_flag_and_every_choice_stays_whole(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text, flags = help_of(name), flags_of(name)
    assert max(map(len, text.splitlines())) <= 80
    for parameter in COMMANDS[name].params:
        if parameter.param_type_name == "option":
            assert set(parameter.opts + parameter.secondary_opts) <= set(flags)
            if not parameter.is_flag:
                assert f"{parameter.opts[0]} {parameter.metavar}" in text
            else:
                assert f"{parameter.opts[-1]} <" not in text
    assert not re.findall(r"\w[-…]$", text, re.MULTILINE)  # nothing breaks at a hyphen


def test_a_switch_shows_both_of_its_sides() -> None:
    assert "  --visuals / --no-visuals  " in help_of("run")
    assert "  --drop-containers / --no-drop-containers\n" in help_of("export")
    assert "  --restart  " in help_of("run") and "<bool>" not in help_of("run")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--limit", "many"], "--limit: 'many' won't do"),
        (["--min-score", "2"], "--min-score: '2' won't do: write a number from 0 to 1"),
        (["--workers", "5000"], "--workers: '5000' won't do: write a whole number from 0 to 256"),
        (["--tiles", "1"], "the side of a tile in pixels, as in 768 (at least 32)"),
        (["--include", ""], "--include: '' won't do: it is empty"),
        (["--exclude", ""], "--exclude: '' won't do: it is empty"),
        (["--config", ""], "--config: '' won't do: it is empty"),
        (["--push-to-hub", ""], "--push-to-hub: '' won't do: it is empty"),
        (["--config", "minimal"], "there is no preset or file 'minimal'"),
        (["--seed", "x"], "--seed: 'x' won't do"),
        (["--images", "move"], "--images: 'move' won't do"),
        (["--format", "coco,svg"], "there is no format 'svg'"),
    ],
)
def test_the_errors_of_a_flag_are_those_of_its_field(
    flags: list[str], message: str, scenes: Path, tmp_path: Path
) -> None:
    result = command("run", scenes, "-o", tmp_path / "out", "--model", "shapes", *flags)
    assert result.code == 2
    assert message in result.err
    assert len(result.err.splitlines()) == 1


def test_the_page_about_options_is_the_one_that_the_declarations_give() -> None:
    described = importlib.util.spec_from_file_location("make_options", DOCS / "make_options.py")
    assert described and described.loader
    maker = importlib.util.module_from_spec(described)
    described.loader.exec_module(maker)
    page = maker.text()
    assert (DOCS / "options.md").read_text(encoding="utf-8") == page
    for each in COMMANDS.values():
        flags = {parameter.opts[0] for parameter in each.params if parameter.opts[0][:2] == "--"}
        assert all(f"| `{flag}" in page for flag in flags)


def test_flags_are_completed() -> None:
    names = {name for parameter in COMMANDS["run"].params for name in parameter.opts}
    assert {"--classes-file", "--no-repeat-ngram", "--output", "-o"} <= names
