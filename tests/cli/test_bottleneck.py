"""What a run says that waited for its images."""

from pathlib import Path
from typing import Any

import pytest
from conftest import annotate, command

from florence_annotate.cli import bottleneck
from florence_annotate.engines.local import LocalEngine


def said(waited: float, **settings: Any) -> str | None:
    run = {"seconds": 100.0, "seconds_waiting_for_pictures": waited}
    return bottleneck.remark(
        run, {"workers": None, "engine": "local", "pixels": "exact"} | settings
    )


@pytest.fixture(autouse=True)
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("florence_annotate.cores.available", lambda: 4)


def test_who_did_not_wait_is_told_nothing() -> None:
    assert said(19.0) is None
    assert bottleneck.remark({}, {}) is None
    short = {"seconds": 6.0, "seconds_waiting_for_pictures": 4.0}  # as long as a start takes
    assert bottleneck.remark(short, {}) is None


def test_fewer_readers_than_there_are_cores_for_are_named() -> None:
    for workers in (0, 2):
        assert f"--workers 3 instead of {workers}, or --pixels fast" in str(
            said(30, workers=workers)
        )


def test_where_each_core_reads_no_more_workers_are_promised() -> None:
    assert "more cores (3 processes read on 4 cores) or, where the disk is slow" in str(said(30))
    assert "(8 processes read on 4 cores)" in str(said(30, workers=8))


def test_fast_pixels_are_not_proposed_to_who_has_them() -> None:
    assert "--pixels" in str(said(30))
    assert "--pixels" not in str(said(30, pixels="fast"))


def test_of_actors_on_other_machines_this_ones_cores_say_nothing() -> None:
    assert "What helps: more cores for each actor, or" in str(said(30, engine="ray"))
    assert "actor, and --workers above 2" in str(said(30, engine="ray", workers=2))


def test_a_run_that_waited_says_so_and_an_export_of_it_does_not(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # what the engine counted, without the test's waiting for it
    monkeypatch.setattr(LocalEngine, "seconds_waiting", property(lambda self: 61.0, _ignore))
    done = annotate(scenes, tmp_path / "out", "--limit", 1)
    assert done.code == 0, done.err
    assert (
        "61 of " in done.out and "the bottleneck. What helps: --workers 3 instead of 0" in done.out
    )
    assert "bottleneck" not in command("export", tmp_path / "out", "--min-score", 0.1).out


def _ignore(engine: LocalEngine, value: float) -> None:
    pass
