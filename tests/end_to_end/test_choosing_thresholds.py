"""docs/choosing-thresholds.md tells what happens."""

import re
from pathlib import Path

import pytest
from conftest import Result, command, rows

from florence_annotate.reasons import Reason

PAGE = (Path(__file__).parents[2] / "docs" / "choosing-thresholds.md").read_text(encoding="utf-8")


def given(line: str) -> Result:
    """A command as the page has it."""
    assert line in PAGE
    return command(*line.split()[1:])


def test_its_commands_do_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert given("florence-annotate demo street --count 12").code == 0
    run = "florence-annotate run street -o dataset --model shapes --min-area 700"
    assert given(run).code == 0
    shown = given("florence-annotate explain dataset scene-2000005 --picture missing.jpg")
    assert shown.code == 0 and (tmp_path / "missing.jpg").stat().st_size > 1000

    def bare(text: str) -> set[str]:
        """Lines without what the last digits of scores stand in."""
        return {line for line in text.splitlines() if not re.search(r"0\.\d{3}", line)}

    example = PAGE.split("```\nscene-2000005.jpg")[1].split("```")[0]
    assert bare(example) - {", 260 x 204 pixels: annotated", "  …"} <= bare(shown.out)
    at = given("florence-annotate explain dataset scene-2000005 --at 110,75").out
    assert "left out: cross" in at
    near = command("explain", "dataset", "scene-2000005", "--at", "240,100").out
    assert "38 pixels away, kept: triangle" in near
    assert "nothing that the model said covers this point" in near
    back = next(line.strip() for line in at.splitlines() if "export" in line)
    assert given(back).code == 0
    assert command("export", "dataset", "--add-format", "jsonl").code == 0
    (row,) = (row for row in rows(tmp_path / "dataset") if "2000005" in row["key"])
    assert "cross" in [one["class"] for one in row["instances"]]
    table = given("florence-annotate stats dataset").out.split("what --min-score would keep")[1]
    kept = [line.rstrip() for line in table.split("\n\n")[0].splitlines()]
    told = PAGE.split("what --min-score would keep\n")[1].split("```")[0].splitlines()
    assert kept[1:] == told


def test_it_speaks_of_every_reason() -> None:
    table = PAGE.split("| reason |")[1].split("\n\n")[0]
    assert set(re.findall(r"`([a-z-]+)`", table)) >= set(Reason)
