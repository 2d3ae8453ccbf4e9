"""The flags of the commands, made from the declarations of the settings."""

import importlib.util
import re
from pathlib import Path

import pytest
import typer
from conftest import command

from florence_annotate.config import presets
from florence_annotate.config.job_spec import OPTIONS, flag_of
from florence_annotate.declaration import Panel
from florence_annotate.formats.registry import FORMATS

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal in which every flag and its help have room."""
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", 400)


def help_of(name: str) -> str:
    result = command(name, "--help")
    assert result.code == 0
    return " ".join(result.out.split())


@pytest.mark.usefixtures("wide")
def test_the_help_of_run_has_every_setting_and_export_those_of_the_dataset() -> None:
    of_run, of_export = help_of("run"), help_of("export")
    for name, option in OPTIONS.items():
        assert re.search(rf"│ {flag_of(name)} ", of_run)
        is_exports = option.panel is Panel.DATASET
        assert bool(re.search(rf"│ {flag_of(name)} ", of_export)) is is_exports


@pytest.mark.usefixtures("wide")
def test_the_help_lists_formats_presets_values_and_defaults() -> None:
    of_run = help_of("run")
    assert f"Formats to write: {', '.join(FORMATS)}." in of_run
    assert f"({', '.join(presets.names())})" in of_run
    assert "auto|float32|bfloat16|float16" in of_run
    assert "instance-segmentation|describe|caption-grounding|verify" in of_run
    assert "[default: train=0.8,val=0.2]" in of_run
    assert "[default: 178956970]" in of_run


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--limit", "many"], "--limit: 'many' won't do"),
        (["--min-score", "2"], "--min-score: '2' won't do"),
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


def test_a_flag_that_does_not_exist_is_refused(scenes: Path) -> None:
    assert command("run", scenes, "--clases", "a").code == 2


def test_the_page_about_options_is_the_one_that_the_declarations_give() -> None:
    described = importlib.util.spec_from_file_location("make_options", DOCS / "make_options.py")
    assert described and described.loader
    maker = importlib.util.module_from_spec(described)
    described.loader.exec_module(maker)
    assert (DOCS / "options.md").read_text(encoding="utf-8") == maker.text()


def test_flags_are_completed() -> None:
    from florence_annotate.cli import app

    run = typer.main.get_command(app).commands["run"]  # type: ignore[attr-defined]
    names = {name for parameter in run.params for name in parameter.opts}
    assert {"--classes-file", "--no-repeat-ngram", "--output", "-o"} <= names
