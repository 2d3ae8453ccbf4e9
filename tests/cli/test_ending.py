"""What a command says that could not be done, to people and to scripts."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import annotate, command
from written_answers import picture

from florence_annotate.errors import FlorenceAnnotateError
from florence_annotate.jobs.job import Job

LATIN_1 = {"PYTHONIOENCODING": "latin-1"}
ASCII = {"PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}


@pytest.fixture(scope="module")
def named(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A job with names that neither Latin-1 nor ASCII has."""
    folder = tmp_path_factory.mktemp("named")
    (folder / "фото").mkdir()
    shutil.copy(next(scenes.glob("*.jpg")), folder / "фото" / "кот “1”.jpg")
    (folder / "фото" / "пёс.jpg").write_bytes(b"none")
    options = ["--classes", "звезда", "--split", "train=1"]
    result = annotate(folder / "фото", folder / "набор", *options)
    assert result.code == 3, result.err
    return folder / "набор"


def json_of(coding: dict[str, str], *arguments: object) -> Any:
    """What a command prints with --json in a process of its own, whose output has this coding."""
    result = subprocess.run(
        [sys.executable, "-m", "florence_annotate", *map(str, arguments), "--json"],
        capture_output=True,
        env={**os.environ, **coding},
    )
    return json.loads(result.stdout)


@pytest.mark.parametrize("coding", [LATIN_1, ASCII], ids=["latin-1", "ascii"])
def test_json_is_json_in_every_coding_of_the_output(named: Path, coding: dict[str, str]) -> None:
    assert [failure["key"] for failure in json_of(coding, "failures", named)] == ["пёс.jpg"]
    assert "holds no job" in json_of(coding, "status", named / "нет")["error"]["message"]


def test_names_of_files_and_classes_come_whole_through_latin_1(named: Path) -> None:
    summary = json_of(LATIN_1, "export", named)
    assert list(summary["classes"]) == ["звезда"]
    assert [failure["key"] for failure in summary["failures"]] == ["пёс.jpg"]


def test_a_locale_that_cannot_name_the_files_is_told_with_what_to_do(named: Path) -> None:
    error = json_of(ASCII, "export", named, "--overwrite", "--format", "voc")["error"]
    assert error["kind"] == "locale"
    assert "кот" in error["message"] and "set LC_ALL=C.UTF-8" in error["message"]


@pytest.mark.parametrize(
    ("arguments", "kind", "code"),
    [
        (["run", "in", "-o", "out", "--min-score", "2"], "usage", 2),
        (["run", "in", "-o", "out", "--limits", "2"], "usage", 2),
        (["run", "-o", "out"], "usage", 2),
        (["run", "nowhere", "-o", "out"], "source", 1),
        (["run", "in", "-o", "out", "--model", "./none"], "checkpoint", 1),
        (["run", "in", "-o", "out", "--model", "shapes", "-q", "--device", "mps"], "device", 1),
        (["resume", "out"], "job", 1),
        (["export", "out"], "job", 1),
        (["status", "out"], "job", 1),
        (["failures", "out"], "job", 1),
        (["failures"], "usage", 2),
        (["models", "./none"], "checkpoint", 1),
        (["tasks", "more"], "usage", 2),
        (["doctors"], "usage", 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_an_error_is_told_as_json_too_where_json_was_asked_for(
    arguments: list[str], kind: str, code: int, scenes: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    shutil.copy(next(scenes.glob("*.jpg")), tmp_path / "in")
    plain = command(*arguments)
    assert (plain.code, plain.out) == (code, "")
    told = command(*arguments, "--json")
    assert (told.code, told.err) == (code, plain.err)
    message = told.err.removeprefix("error: ").rstrip("\n")
    assert told.json == {"error": {"kind": kind, "message": message, "exit_code": code}}


def test_a_job_that_another_process_holds_has_a_kind_of_its_own(
    dataset: Path, scenes: Path, tmp_path: Path
) -> None:
    from florence_annotate.journal import lock

    with lock.held(tmp_path / "out"):
        assert annotate(scenes, tmp_path / "out", "--json").json["error"]["kind"] == "locked"
    other = annotate(scenes, dataset, "--dtype", "bfloat16", "--json")
    assert other.json["error"]["kind"] == "fingerprint"


def test_the_readme_names_every_kind_of_error() -> None:
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    kinds = [error("").kind for error in all_below(FlorenceAnnotateError)]
    assert "usage" in kinds and "locked" in kinds
    for kind in (*kinds, "memory", "locale", "interrupted", "internal"):
        assert f"`{kind}`" in text


def all_below(error: type[FlorenceAnnotateError]) -> list[type[FlorenceAnnotateError]]:
    return [each for child in error.__subclasses__() for each in (child, *all_below(child))]


@pytest.mark.parametrize(
    ("raised", "kind", "code"),
    [(KeyboardInterrupt, "interrupted", 130), (MemoryError, "memory", 1)],
)
def test_what_stops_a_command_from_outside_is_told_as_json_too(
    raised: type[BaseException], kind: str, code: int, scenes: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def stop(*_: object, **__: object) -> None:
        raise raised

    for place in ("__init__", "run"):  # before there is a job, and in it
        with monkeypatch.context() as patch:
            patch.setattr(Job, place, stop)
            result = annotate(scenes, tmp_path / "out", "-q", "--json")
        assert result.code == code
        assert len(result.err.strip().splitlines()) == 1
        error = result.json["error"]
        assert (error["kind"], error["exit_code"]) == (kind, code)


def test_a_mistake_of_the_program_is_json_and_keeps_its_trace(
    scenes: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(Job, "__init__", fail)
    monkeypatch.setattr(sys, "argv", ["florence-annotate", "run", str(scenes), "--json"])
    from florence_annotate.cli import main

    with pytest.raises(ZeroDivisionError):
        main()
    error = json.loads(capsys.readouterr().out)["error"]
    assert error == {"kind": "internal", "message": "ZeroDivisionError: by zero", "exit_code": 1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "in", "--clases", "a"], "there is no option --clases: did you mean --classes?"),
        (["run", "in", "--zzz"], "'florence-annotate run --help' lists what it takes"),
        (["run", "in", "--limit"], "--limit lacks its value: write --limit N"),
        (["run", "in", "--visuals=3"], "--visuals is a switch and takes no value"),
        (["run"], "SOURCE is missing: write florence-annotate run [OPTIONS] SOURCE..."),
        (["export", "--overwrit", "out"], "did you mean --overwrite?"),
        (["resume"], "OUT is missing"),
        (["status", "a", "b"], "extra argument"),
        (["failures", "--jsn"], "did you mean --json?"),
        (["demo", "in", "--count", "few"], "--count: 'few' won't do: write a whole number"),
        (["demo", "in", "--seed", "1.5"], "--seed: '1.5' won't do: write a whole number"),
        (["demo", "in", "--count", "0"], "can't paint 0 scenes"),
        (["doctor", "--model"], "--model lacks its value"),
        (["models", "--json=1"], "--json is a switch"),
        (["tasks", "-x"], "there is no option -x"),
        (["exprot", "out"], "there is no command 'exprot': did you mean export?"),
        (["--verson"], "there is no option --verson: did you mean --version?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_wrong_command_line_is_told_in_one_line(arguments: list[str], message: str) -> None:
    result = command(*arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: ") and message in result.err
    assert len(result.err.splitlines()) == 1


def test_without_a_command_there_is_the_help() -> None:
    result = command()
    assert result.code == 2
    assert "Begin with: florence-annotate run" in result.err


STOPPED_IN_AN_IMPORT = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
stops_in, number, *arguments = sys.argv[1:]
class Stops:
    def find_spec(self, name, path=None, target=None):
        if name == stops_in:
            exec(f"os.kill(os.getpid(), {number})")  # where imports run text, CPython notes it
sys.meta_path.insert(0, Stops())
from florence_annotate.cli import main
sys.argv = ["florence-annotate", *arguments]
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("module", ["typer", "florence_annotate.jobs.exporting"])
def test_a_signal_while_modules_are_imported_ends_as_any_other(
    module: str, number: signal.Signals, dataset: Path
) -> None:
    arguments = [module, str(number.value), "export", str(dataset), "--json"]
    done = subprocess.run(
        [sys.executable, "-c", STOPPED_IN_AN_IMPORT, *arguments], capture_output=True, text=True
    )
    assert done.returncode == 130, done.stderr
    assert done.stderr == "\nstopped at once\n"
    error = {"kind": "interrupted", "message": "stopped at once", "exit_code": 130}
    assert json.loads(done.stdout) == {"error": error}


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_output_that_goes_to_a_full_disk_is_told(dataset: Path, options: list[str]) -> None:
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "florence_annotate", "stats", dataset, *options],
            stdout=full, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    assert result.returncode == 1
    assert result.stderr == "error: can't write the output: No space left on device\n"


LONG = "n" * 300
"""More than a file system lets a name have."""


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "in", "-o", LONG],
        ["run", "in", "-o", "out", "--config", LONG],
        ["run", "in", "-o", "out", "--model", f"./{LONG}"],
        ["status", LONG],
        ["stats", LONG],
        ["diff", LONG],
        ["report", LONG],
    ],
    ids=lambda arguments: " ".join(arguments)[:24],
)
def test_a_name_that_is_too_long_is_no_mistake_of_the_program(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    picture(tmp_path / "in" / "1.png")
    told = command(*arguments, "--json")
    assert told.code in (1, 2)  # by whether this Python takes it for a file that is not there
    assert told.json["error"]["kind"] != "internal"
    assert LONG in told.err and len(told.err.splitlines()) == 1


def test_a_folder_that_may_not_be_looked_into_is_no_mistake_of_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "closed/job.db")

    monkeypatch.setattr(
        "florence_annotate.journal.Journal.open_existing", refuse
    )  # root may do all
    told = command("stats", tmp_path, "--json")
    assert told.code == 2
    assert told.json["error"]["kind"] == "usage"
    assert told.err == f"error: {told.json['error']['message']}\n"
    assert "closed/job.db: Permission denied" in told.err
