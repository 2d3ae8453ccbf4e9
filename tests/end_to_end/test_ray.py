"""Jobs on Ray: the same files as on one device, whatever happens to actors and machines."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import standins
from conftest import Result, annotate, command, is_same_dataset

from florence_annotate.journal import Journal
from florence_annotate.shapes.demo import write_demo

cloudpickle = pytest.importorskip("ray").cloudpickle
pytestmark = pytest.mark.ray

TWO = ("--engine", "ray", "--actors", 2)
ASKED = ("--task", "detection,caption", "--max-failures", 2)
"""Boxes and captions; masks are asked for on a cluster (tests/engines/ray/test_place.py)."""


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty painted images, and two files that are none."""
    folder = tmp_path_factory.mktemp("many") / "many"
    write_demo(folder, count=60, seed=3_100_000)
    (folder / "broken.jpg").write_bytes(b"no image")
    (folder / "empty.png").touch()
    return folder


@pytest.fixture(scope="module")
def local(many: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the local engine makes of them: boxes and captions."""
    out = tmp_path_factory.mktemp("local") / "out"
    assert annotate(many, out, "-q", *ASKED).code == 0
    return out


def on_ray(source: Path, out: Path, *options: object) -> Result:
    return command("run", source, "-o", out, "--model", "shapes", "--workers", 1, *TWO, *options)


def test_two_actors_write_the_files_of_one_device_and_leave_nothing_behind(
    many: Path, local: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, short = tmp_path / "home", Path("/tmp") / f"fa-{os.getpid()}"
    home.mkdir()
    short.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr("tempfile.tempdir", str(short))
    result = on_ray(many, tmp_path / "out", *ASKED, "--json")
    assert result.code == 0, result.err
    is_same_dataset(tmp_path / "out", local)
    summary = result.json  # nothing but that on standard output
    assert (summary["run"]["annotated"], summary["run"]["failed"]) == (60, 2)
    assert summary["run"]["device"] == "ray --actors 2"
    assert summary["failures"] == command("export", local, "--json").json["failures"]
    assert "62/62 images" in result.err and "2 failed, 2 actors" in result.err
    assert result.err.count("loading shapes on cpu in float32 with 1 thread") == 1
    assert not list(short.iterdir()) and not list(home.iterdir())
    short.rmdir()
    assert not processes_of(short)


def processes_of(folder: Path) -> list[str]:
    """What still runs of a Ray that was started in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            known = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
            if f"{folder}/fa-ray-".encode() in known:
                found.append(process.name)
    return found


def test_what_is_wrong_in_an_actor_is_told_in_one_line_with_its_machine(
    scenes: Path, tmp_path: Path
) -> None:
    long = ("--task", "grounding", "--text", "a star " * 1000)
    alone = annotate(scenes, tmp_path / "local", *long)
    result = on_ray(scenes, tmp_path / "ray", *long)
    assert (alone.code, result.code) == (2, 2)
    *_, told = result.err.splitlines()
    assert told == alone.err.splitlines()[-1].replace(
        "error: ", f"error: on {os.uname().nodename}: "
    )
    assert not (tmp_path / "ray").exists()
    assert "Traceback" not in result.err


def start(source: Path, out: Path, *options: object) -> "subprocess.Popen[str]":
    """A job on Ray in a process group of its own, with a few images committed."""
    arguments = ["run", source, "-o", out, "--model", "shapes", "--workers", 1, "--batch-size", 1]
    child = subprocess.Popen(
        [sys.executable, "-m", "florence_annotate", *map(str, [*arguments, *TWO, *options])],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    already = annotated_in(out)
    while annotated_in(out) == already:
        time.sleep(0.05)
        assert child.poll() is None, child.communicate()
    return child


def annotated_in(out: Path) -> int:
    if not (out / "job.db").exists():
        return 0
    with contextlib.suppress(Exception), Journal.open_existing(out) as journal:
        return journal.counts().annotated
    return 0


def actors_of(child: "subprocess.Popen[str]") -> list[int]:
    """The processes of its actors, which Ray starts for it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            is_actor = (process / "cmdline").read_bytes().startswith(b"ray::Worker")
            is_reader = (process / "comm").read_text().startswith("pt_data_worker")
            if is_actor and not is_reader and str(child.pid) in ancestors(int(process.name)):
                found.append(int(process.name))
    return found


def ancestors(pid: int) -> Iterator[str]:
    while pid > 1:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        yield str(pid)


@pytest.fixture(scope="module")
def long(many: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("long") / "long"
    write_demo(folder, count=160, seed=3_200_000)
    return folder


@pytest.fixture(scope="module")
def local_long(long: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("local") / "out"
    assert annotate(long, out, "-q").code == 0
    return out


def test_a_signal_to_all_processes_stops_the_job_which_goes_on_with_another_engine(
    long: Path, local_long: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for number in (signal.SIGINT, signal.SIGTERM):
        child = start(long, out)
        os.killpg(child.pid, number)  # as a terminal does, and who ends all of a step
        shown, errors = child.communicate(timeout=60)
        assert (child.returncode, shown) == (130, ""), errors
        assert f"florence-annotate resume {out}" in errors
        assert "Traceback" not in errors and "raylet" not in errors
        assert not actors_of(child)
        done = command("status", out, "--json").json
        assert 0 < done["annotated"] < 160 and done["state"] == "interrupted"
    resumed = command("resume", out, "--engine", "local", "-q")
    assert resumed.code == 0, resumed.err
    is_same_dataset(out, local_long)


def test_a_killed_command_leaves_no_actor_behind_and_its_job_goes_on(
    long: Path, local_long: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    child = start(long, out)
    actors = actors_of(child)
    assert len(actors) == 2
    left = list(Path(tempfile.gettempdir()).glob("fa-ray-*/owner"))
    child.kill()
    child.communicate()
    assert left
    resumed = command("resume", out, "-q", "--batch-size", 8)  # at once, and on Ray as before
    assert resumed.code == 0, resumed.err
    is_same_dataset(out, local_long)
    assert not [path for path in left if path.exists()]
    assert not [pid for pid in actors if Path(f"/proc/{pid}").exists()]


def test_an_actor_that_is_killed_is_replaced_and_nothing_is_lost(
    long: Path, local_long: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    child = start(long, out)
    first, *_ = actors_of(child)
    os.kill(first, signal.SIGKILL)
    _, errors = child.communicate(timeout=120)
    assert child.returncode == 0, errors
    is_same_dataset(out, local_long)
    [told] = [line for line in errors.splitlines() if "an actor died" in line]
    assert "(its process ended); of its images" in told
    log = Path(told.rpartition("Ray's log: ")[2])
    assert "worker" in log.read_text(errors="replace")
    log.unlink()


def test_an_image_that_kills_its_process_again_and_again_is_a_failure_of_the_job(
    many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for index, path in enumerate(sorted(many.glob("*.jpg"))[:13]):
        name = "kills.jpg" if index == 6 else path.name
        (source / name).symlink_to(path)
    cloudpickle.register_pickle_by_value(standins)
    monkeypatch.setattr("florence_annotate.engines.ray.place.Worker", standins.Fragile)
    result = on_ray(source, tmp_path / "out")
    assert result.code == 3, result.err
    told = command("failures", tmp_path / "out", "--json").json
    assert {one["key"]: (one["stage"], one["kind"]) for one in told} == {
        "broken.jpg": ("decode", "not-an-image"),
        "kills.jpg": ("annotate", "crashed"),
    }
    assert command("status", tmp_path / "out", "--json").json["annotated"] == 11
    deaths = [line for line in result.err.splitlines() if "an actor died" in line]
    assert 2 <= len(deaths) <= 6
    Path(deaths[0].rpartition("Ray's log: ")[2]).unlink()


def test_gpus_and_clusters_that_are_not_there_are_told_in_one_line(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")  # where nobody listens
    for options, message in (
        (("--gpus", 99), "--gpus 99: Ray has "),
        (("--address", "127.0.0.1:9"), "--address 127.0.0.1:9: no Ray cluster could be joined"),
        (("--address", "auto"), "--address auto: no Ray cluster could be joined"),
    ):
        result = annotate(scenes, tmp_path / "out", "--engine", "ray", *options)
        assert result.code == 1, options
        _, told = result.err.splitlines()
        assert told.startswith(f"error: {message}")
        assert not (tmp_path / "out").exists()
