"""docs/first-dataset.md tells what happens."""

import re
from pathlib import Path

import pytest
from conftest import command

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "first-dataset.md").read_text(encoding="utf-8")
MISSED = "florence-annotate export dataset --min-instances ellipse=50"


def blocks() -> list[tuple[list[str], list[str]]]:
    """The commands of the page in their order, with the lines that it shows after them."""
    found: list[tuple[list[str], list[str]]] = []
    for block in re.findall(r"^```\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE):
        lines = block.splitlines()
        if lines[0].startswith("florence-annotate"):
            found.append((lines, []))
        else:
            found[-1][1].extend(lines)
    return found


def bare(lines: list[str]) -> set[str]:
    """Lines without those in which the last digits of scores stand, and how they are broken."""
    return {" ".join(line.split()) for line in lines if not re.search(r"0\.\d{3}|^…$", line)}


def test_its_commands_show_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "88")
    for commands, shown in blocks():
        for line in commands:
            ended = command(*line.split()[1:])
            assert ended.code == (3 if line == MISSED else 0), (line, ended.err)
        said = ended.out.splitlines() + ended.err.splitlines()
        assert bare(shown) <= bare(said), (line, bare(shown) - bare(said))
    assert (tmp_path / "dataset" / "report.html").exists()


def test_its_pictures_and_pages_are_there() -> None:
    linked = re.findall(r"\]\(([\w./-]+)\)", PAGE)
    assert len(linked) > 6 and all((DOCS / path).is_file() for path in linked)
