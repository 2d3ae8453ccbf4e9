"""Jobs that are killed, stopped or starved, and go on as if nothing had happened."""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path

import children
import numpy as np
import pytest
from conftest import annotate, command, is_same_dataset
from PIL import Image

from florence_annotate.errors import JobError
from florence_annotate.journal import Journal
from florence_annotate.shapes.demo import write_demo


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many") / "many"
    write_demo(folder, count=60, seed=3_100_000)
    return folder


@pytest.fixture(scope="module")
def uninterrupted(many: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "out"
    assert annotate(many, out, "--batch-size", 2, "-q").code == 0
    return out


@pytest.fixture(scope="module")
def warm() -> ForkServerContext:
    return children.warm()


def start(warm: ForkServerContext, source: Path, out: Path, workers: int = 0) -> BaseProcess:
    options = ("--model", "shapes", "--batch-size", 2, "-q", "--workers", workers)
    return children.start(warm, "run", source, "-o", out, *options)


@pytest.mark.parametrize("wanted", [6, pytest.param(20, marks=pytest.mark.slow)])
def test_a_job_killed_at_random_moments_ends_as_if_it_never_was(
    many: Path, uninterrupted: Path, warm: ForkServerContext, wanted: int
) -> None:
    start(warm, many, uninterrupted.with_name(f"warm-up-{wanted}")).join()
    begun = time.monotonic()
    start(warm, many, uninterrupted.with_name(f"clock-{wanted}")).join()
    whole = time.monotonic() - begun
    moments = random.Random(wanted)
    kills, tries, committed = 0, 0, 0
    out = uninterrupted.with_name(f"killed-{wanted}")
    while kills < wanted:
        tries += 1
        assert tries < 100
        child = start(warm, many, out, workers=tries % 2)
        child.join(timeout=moments.uniform(0.1, 0.7) * whole)
        if child.is_alive():
            child.kill()
            child.join()
            kills += 1
            before, committed = committed, annotated_in(out)
            assert committed >= before
        else:  # done before its moment came: a new one for the kills that are left
            is_same_dataset(out, uninterrupted)
            out, committed = uninterrupted.with_name(f"killed-{wanted}-{tries}"), 0
    assert annotate(many, out, "--batch-size", 2, "-q").code == 0
    is_same_dataset(out, uninterrupted)
    for _ in range(50):
        if not (left := readers_of_these_tests()):
            break
        time.sleep(0.1)
    assert not left  # those of killed jobs too, whom a fork server of their own had started


def readers_of_these_tests() -> list[str]:
    """Reader processes that a fork server started, whose command line has its search path."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            is_reader = (process / "comm").read_text().startswith("pt_data_worker")
            if (
                is_reader
                and str(Path(__file__).parents[1]).encode() in (process / "cmdline").read_bytes()
            ):
                found.append(process.name)
    return found


def annotated_in(out: Path) -> int:
    """Committed images; none before the first commit."""
    try:
        with Journal.open_to_write(out) as journal:
            return journal.counts().annotated
    except JobError:
        return 0


def test_a_job_killed_while_it_exports_ends_as_if_it_never_was(
    many: Path, uninterrupted: Path, warm: ForkServerContext
) -> None:
    out = uninterrupted.with_name("killed-exporting")
    shutil.copytree(uninterrupted, out, symlinks=True)
    moments = random.Random(7)
    for _ in range(6):
        for name in ("labels", "annotations", "images"):
            shutil.rmtree(out / name, ignore_errors=True)
        child = start(warm, many, out)
        child.join(timeout=moments.uniform(0.05, 0.6))
        child.kill()
        child.join()
    assert annotate(many, out, "--batch-size", 2, "-q").code == 0
    is_same_dataset(out, uninterrupted)


def wait_for_progress(out: Path, child: "subprocess.Popen[str]") -> None:
    """Until a few images are committed."""
    for _ in range(1200):
        time.sleep(0.05)
        assert child.poll() is None, child.communicate()
        if annotated_in(out):
            return
    raise AssertionError("no image was annotated in a minute")


def command_in_child(source: Path, out: Path) -> "subprocess.Popen[str]":
    arguments = ["run", str(source), "-o", str(out), "--model", "shapes", "--batch-size", "1"]
    return subprocess.Popen(
        [sys.executable, "-m", "florence_annotate", *arguments, "--workers", "1"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_job_with_the_commands_to_go_on(
    many: Path, uninterrupted: Path, number: signal.Signals
) -> None:
    out = uninterrupted.with_name(f"stopped-{number.name}")
    child = command_in_child(many, out)
    wait_for_progress(out, child)
    os.killpg(child.pid, number)  # as a terminal does: the workers get it too
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 130, errors
    assert f"florence-annotate resume {out}" in errors
    assert f"florence-annotate export {out}" in errors
    assert "Traceback" not in errors
    done = command("status", out, "--json").json
    assert 0 < done["annotated"] < 60
    assert (done["state"], done["go_on"]) == ("interrupted", f"florence-annotate resume {out}")
    assert "stopped    by a signal, in order" in command("status", out).out

    exported = command("export", out, "--json")  # what is there, before the job is finished
    assert exported.json["finished"] is False
    assert len(list((out / "labels").rglob("*.txt"))) == done["annotated"]
    assert command("resume", out, "-q").code == 0
    is_same_dataset(out, uninterrupted)


def test_a_second_signal_stops_at_once(many: Path, tmp_path: Path) -> None:
    child = command_in_child(many, tmp_path / "out")
    wait_for_progress(tmp_path / "out", child)
    for _ in range(5):
        os.kill(child.pid, signal.SIGINT)
        time.sleep(0.05)
    _, errors = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "Traceback" not in errors, errors
    status = command("status", tmp_path / "out", "--json").json
    # the second may come when the first has just stopped it in order
    assert status["state"] in ("stopped", "interrupted")
    assert (status["process"], status["annotated"] < 60) == (None, True)


def test_status_tells_a_running_job_from_a_killed_one_and_a_finished_one(
    many: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    child = command_in_child(many, out)
    wait_for_progress(out, child)
    while (runs := command("status", out, "--json").json)["images_per_second"] is None:
        assert child.poll() is None
    shown = command("status", out).out
    assert child.poll() is None, "too quick to be seen"
    child.kill()
    child.communicate()
    assert (runs["state"], runs["go_on"]) == ("running", None)
    assert (runs["process"]["pid"], runs["process"]["host"]) == (child.pid, socket.gethostname())
    age = datetime.now(UTC) - datetime.fromisoformat(runs["process"]["since"])
    assert 0 < age.total_seconds() < 600
    assert runs["annotated"] > 0 and 0 < runs["images_per_second"] < 10_000
    assert f"running    process {child.pid} on {socket.gethostname()}, since 2" in shown
    assert " images/s so far" in shown

    stopped = command("status", out, "--json").json
    assert (stopped["state"], stopped["process"]) == ("stopped", runs["process"])
    assert runs["annotated"] <= stopped["annotated"] < 60
    assert stopped["images_per_second"] is None
    assert stopped["go_on"] == f"florence-annotate resume {out}"
    shown = command("status", out).out
    assert f"{stopped['annotated']} of 60 images done" in shown
    assert f"stopped    process {child.pid} on " in shown
    assert "it ended before it was done" in shown
    assert f"go on      florence-annotate resume {out}" in shown

    resumed = command("resume", out, "-q")
    assert resumed.code == 0, resumed.err
    ended = command("status", out, "--json").json
    assert (ended["state"], ended["process"], ended["go_on"]) == ("ended", None, None)
    assert "stopped" not in command("status", out).out


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are found in /proc")
def test_a_killed_job_leaves_no_reader_and_no_lock_behind(many: Path, tmp_path: Path) -> None:
    """Readers that wait to hand over an image must not outlive the job that they read for."""
    out = tmp_path / "out"
    child = subprocess.Popen(
        [sys.executable, "-m", "florence_annotate", "run", many, "-o", out, "--model", "shapes",
         "--workers", "2", "--batch-size", "8"], stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    wait_for_progress(out, child)
    child.kill()
    child.communicate()
    assert command("resume", out, "-q").code == 0  # at once: the lock went with its holder
    for _ in range(50):
        if not (left := processes_that_name(out)):
            break
        time.sleep(0.1)
    assert not left


def processes_that_name(out: Path) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(out).encode() in (process / "cmdline").read_bytes():
                found.append(process.name)
    return found


SHORT_OF_DISK = """
import resource, sys
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
sys.argv = ["florence-annotate", *sys.argv[2:]]
from florence_annotate.cli import main
main()
"""


def starve(limit: int, *arguments: object) -> None:
    """Run a command to which no file can have more bytes."""
    starved = subprocess.run(
        [sys.executable, "-c", SHORT_OF_DISK, str(limit), *map(str, arguments)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert starved.returncode == 1, starved.stderr
    last = starved.stderr.strip().splitlines()[-1]
    assert last.startswith("error: can't write")
    assert "free space" in last
    assert "Traceback" not in starved.stderr


def test_a_full_disk_ends_the_job_with_what_to_do_and_it_goes_on_later(
    many: Path, uninterrupted: Path
) -> None:
    out = uninterrupted.with_name("starved")
    limit = (uninterrupted / "job.db").stat().st_size * 7 // 10
    arguments = ["run", many, "-o", out, "--model", "shapes", "--workers", 0, "--batch-size", 2]
    starve(limit, *arguments)
    with Journal.open_to_write(out) as journal:
        assert 0 < journal.counts().annotated < 60
    assert command(*arguments, "-q").code == 0
    is_same_dataset(out, uninterrupted)


def test_a_restart_that_is_killed_takes_no_policy_over(
    many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not for the new job, whose settings would be those of the old one."""
    out, options = tmp_path / "out", ("--limit", 2, "--no-canary")
    assert annotate(many, out, *options, "--min-area", 500).code == 0
    restart = Journal.restart

    def die(journal: Journal, **kept: bool) -> None:
        restart(journal, **kept)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "restart", die)
        assert annotate(many, out, *options, "--restart").code == 130
    assert annotate(many, out, *options).code == 0
    assert "min_area: 0.0" in (out / "policy.yaml").read_text()


@pytest.mark.parametrize("goes_on", ["resume", "export"])
def test_a_disk_that_is_full_once_all_is_annotated_leaves_a_job_that_stopped(
    many: Path, tmp_path: Path, goes_on: str
) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (600, 900, 3), dtype=np.uint8)
    Image.fromarray(noise).save(source / "large.png")
    limit = (source / "large.png").stat().st_size * 3 // 4
    starve(limit, "run", source, "-o", out, "--model", "shapes", "--workers", 0, "--images", "copy")
    status = command("status", out, "--json").json
    assert (status["state"], status["pending"], status["annotated"]) == ("stopped", 0, 1)
    assert status["go_on"] == f"florence-annotate resume {out}"
    shown = command("status", out).out
    assert "it ended before it was done" in shown and "go on" in shown
    assert command(goes_on, out, "-q").code == 0
    assert command("status", out, "--json").json["state"] == "ended"


def test_a_job_that_ended_by_an_error_before_its_first_run_stopped(
    scenes: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with Journal.create(out):
        pass
    status = command("status", out, "--json").json
    assert (status["state"], status["go_on"]) == ("stopped", None)
    assert "go on      give the 'run' again that began it" in command("status", out).out
    assert annotate(scenes, out, "--limit", 1, "-q").code == 0
    assert command("status", out, "--json").json["state"] == "ended"
