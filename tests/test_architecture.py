"""Imports go downward only, as docs/architecture.md draws them."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "florence_annotate"
VOCABULARY = {
    *("types", "errors", "tasks", "classes", "reasons", "declaration", "version", "cores"),
    *("user_files", "user_yaml"),
}
PUT_TOGETHER = {"__init__", "__main__"}


def read_table() -> dict[str, set[str] | None]:
    """The table of docs/architecture.md: room → rooms that it may import; None for all."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table: dict[str, set[str] | None] = {}
    for line in text.split("## The rooms")[1].split("###")[0].splitlines():
        if line.startswith("| ") and not line.startswith(("| room", "| ---")):
            rooms, _, allowed = (cell.strip() for cell in line.strip("|").split("|"))
            listed = set() if allowed == "–" else set(allowed.split(", "))
            for room in rooms.split(", "):
                table[room] = None if allowed == "all" else listed
    return table


MAY_IMPORT = read_table()


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    module_name(path): path
    for folder in (PACKAGE, ROOT / "training")
    for path in sorted(folder.rglob("*.py"))
}


def room_of(module: str) -> str:
    top, *rest = module.split(".")
    return top if top == "training" else rest[0] if rest else "__init__"


def imported_names(path: Path) -> set[str]:
    """All that a module imports, wherever in it, with dots: `a.b` of `from a import b`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports here are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def imported_modules(module: str) -> set[str]:
    """The modules of this project that a module imports."""
    found = set()
    for name in imported_names(MODULES[module]):
        while name and name not in MODULES:
            name = name.rpartition(".")[0]
        found.add(name)
    return found - {"", module}


def imported_rooms(room: str) -> set[str]:
    modules = [module for module in MODULES if room_of(module) == room]
    return {room_of(other) for module in modules for other in imported_modules(module)} - {room}


def test_the_table_names_the_rooms_that_there_are() -> None:
    assert MAY_IMPORT.keys() | PUT_TOGETHER == {room_of(module) for module in MODULES}


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_what_the_table_says(room: str) -> None:
    allowed = MAY_IMPORT[room]
    if allowed is not None:
        assert imported_rooms(room) - VOCABULARY == allowed


def test_the_vocabulary_imports_nothing_but_itself() -> None:
    for room in VOCABULARY:
        assert imported_rooms(room) <= VOCABULARY


def test_no_module_leads_back_to_itself() -> None:
    finished: set[str] = set()

    def follow(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " → ".join([*path, module])
        if module not in finished:
            for other in sorted(imported_modules(module)):
                follow(other, (*path, module))
            finished.add(module)

    for module in MODULES:
        follow(module, ())


def test_no_module_is_too_long_to_have_one_job() -> None:
    for path in MODULES.values():
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path


def test_transformers_is_known_to_the_model_and_to_training_alone() -> None:
    for module, path in MODULES.items():
        packages = {name.split(".")[0] for name in imported_names(path)}
        assert "torchvision" not in packages, path
        if room_of(module) not in ("model", "training"):
            assert "transformers" not in packages, path


@pytest.mark.parametrize(
    "command",
    [
        *("", "run", "resume", "export", "eval", "diff", "status", "failures", "explain", "stats"),
        "report",
        *("merge", "demo", "doctor", "models", "tasks"),
    ],
)
def test_help_is_printed_without_heavy_libraries(command: str) -> None:
    code = (
        "import sys\n"
        f"sys.argv = ['florence-annotate', *{[command] if command else []}, '--help']\n"
        "from florence_annotate.cli import main\n"
        "try:\n    main()\n"
        "finally:\n    heavy = {'torch', 'numpy'} & set(sys.modules)\n    assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Usage: florence-annotate" in done.stdout
