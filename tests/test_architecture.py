"""Imports go downward only, as docs/architecture.md draws them."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "florence_annotate"

EVERYONE = {"types", "errors"}

# room → rooms that it may import; a room of several modules may import itself
MAY_IMPORT: dict[str, set[str]] = {
    "types": set(),
    "errors": set(),
    "tasks": set(),
    "parsing": {"tasks"},
    "classes": set(),
    "merging": {"tasks", "boxes", "outlines"},
    "reading": {"tasks", "parsing", "boxes", "merging"},
    "inputs": set(),
    "recipes": {"tasks", "parsing", "boxes", "inputs", "reading"},
    "request": {"tasks", "classes", "inputs"},
    "planning": {"tasks", "classes", "presence", "recipes", "request"},
    "presets": {"inputs"},
    "boxes": set(),
    "outlines": set(),
    "presence": {"tasks", "classes"},
    "policy": {"boxes", "classes", "presence"},
    "tiles": set(),
    "config": {"tasks", "classes", "inputs", "presets", "request", "tiles"},
    "sources": set(),
    "images": set(),
    "handover": set(),
    "loading": {"images", "handover", "tiles"},
    "model": {"tasks", "parsing", "images", "shapes"},
    "annotator": {"recipes", "loading", "model"},
    "lock": set(),
    "journal": set(),
    "dataset": {
        "config",
        "journal",
        "planning",
        "presence",
        "reading",
        "request",
        "policy",
        "classes",
        "outlines",
    },
    "formats": {"dataset", "outlines", "images", "journal", "tasks", "__init__"},
    "exporting": {"config", "dataset", "formats", "journal", "__init__"},
    "publishing": set(),
    "engines": {"annotator", "config", "loading", "model", "planning"},
    "runner": {"journal"},
    "progress": set(),
    "shapes": {"tasks", "model"},
}
PUT_TOGETHER = {"api", "cli", "job", "__init__", "__main__"}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported_rooms(path: Path) -> set[str]:
    """Rooms of this package that a module imports, wherever in the module."""
    package = ["florence_annotate", *path.relative_to(PACKAGE).parent.parts]
    rooms: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"{module}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "florence_annotate":
                room = parts[1] if len(parts) > 1 else "__init__"
                is_room = (PACKAGE / room).is_dir() or (PACKAGE / f"{room}.py").exists()
                rooms.add(room if is_room else "__init__")
    return rooms


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_what_lies_below_it(path: Path) -> None:
    room = room_of(path)
    if room in PUT_TOGETHER:
        return
    allowed = MAY_IMPORT[room] | EVERYONE | {room}
    assert imported_rooms(path) <= allowed


def test_the_table_has_no_circle() -> None:
    def below(room: str) -> set[str]:
        direct = MAY_IMPORT.get(room, set()) - {"__init__"}
        if room == "shapes":
            direct = set()  # only train.py looks up, see the next test
        return direct | {lower for other in direct for lower in below(other)}

    for room in MAY_IMPORT:
        assert room not in below(room)


def test_only_training_looks_up_from_the_embedded_world() -> None:
    for path in modules():
        if room_of(path) == "shapes" and path.name != "train.py":
            assert imported_rooms(path) <= {"shapes", "tasks", *EVERYONE}, path


def test_transformers_is_known_to_the_model_and_to_training_alone() -> None:
    for path in modules():
        imports = {
            name.split(".")[0]
            for node in ast.walk(ast.parse(path.read_text()))
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom) and not node.level
                else []
            )
        }
        assert "torchvision" not in imports, path
        if room_of(path) not in ("model", "shapes"):
            assert "transformers" not in imports, path


@pytest.mark.parametrize(
    "command",
    ["", "run", "resume", "export", "status", "failures", "demo", "doctor", "models", "tasks"],
)
def test_help_is_printed_without_torch(command: str) -> None:
    code = (
        "import sys\n"
        f"sys.argv = ['florence-annotate', *{[command] if command else []}, '--help']\n"
        "from florence_annotate.cli import main\n"
        "try:\n    main()\n"
        "finally:\n    assert 'torch' not in sys.modules, 'torch was imported'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Usage: florence-annotate" in done.stdout
