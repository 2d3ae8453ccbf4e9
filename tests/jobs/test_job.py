"""One run of a job, without the command around it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from florence_annotate.cli.progress import ScreenReporter
from florence_annotate.config import job_spec
from florence_annotate.errors import (
    CheckpointError,
    FingerprintError,
    LockedError,
    SourceError,
    UsageError,
)
from florence_annotate.images.sources import Sources
from florence_annotate.jobs.job import Finished, Job, Switches
from florence_annotate.journal import Journal, lock
from florence_annotate.shapes import CHECKPOINT
from florence_annotate.shapes.demo import write_demo
from florence_annotate.types import ImageRef


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("few") / "few"
    write_demo(folder, count=3, seed=3_200_000)
    return folder


def job(source: Path, out: Path, *, restart: bool = False, **flags: Any) -> Job:
    settings = {"model": "shapes", "workers": 0, "sources": (str(source),), **flags}
    return Job(job_spec.build(settings), out, Switches(restart=restart))


def run(made: Job, **how: bool) -> Finished:
    return made.run(reporter=ScreenReporter(quiet=True), **how)


def test_a_job_is_looked_at_before_anything_is_written(few: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    made = job(few, out, classes="star,cross")
    assert made.foresee(retry_failed=False).pending == 3
    assert made.formats == ("yolo", "coco")
    assert [question.task for question in made.setup.plan.questions] == ["<OD>"]
    assert not out.exists()


def test_a_job_runs_and_has_nothing_to_do_the_second_time(few: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = run(job(few, out, limit=2))
    assert not first.missed_gates and not first.interrupted
    assert first.summary["run"]["annotated"] == 2
    second = run(job(few, out))
    assert second.summary["run"]["annotated"] == 1
    assert run(job(few, out)).summary["run"]["annotated"] == 0
    assert json.loads((out / "summary.json").read_text())["images"]["annotated"] == 3


def test_a_job_with_nothing_to_do_loads_no_pytorch(few: Path, tmp_path: Path) -> None:
    assert run(job(few, tmp_path / "out")).summary["run"]["device"] == "cpu"
    code = (
        "import sys\n"
        f"sys.argv = ['florence-annotate', 'resume', {str(tmp_path / 'out')!r}]\n"
        "from florence_annotate.cli import main\n"
        "try:\n    main()\nfinally:\n    assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["run"]["device"] is None


def test_a_first_run_with_a_limit_walks_through_its_sources_once(
    few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walks = []
    walk = Sources.__iter__

    def counted(self: Sources) -> Iterator[ImageRef]:
        yield from walk(self)
        walks.append(self)  # to its end

    monkeypatch.setattr(Sources, "__iter__", counted)
    summary = run(job(few, tmp_path / "out", limit=1)).summary
    assert summary["images"]["beyond_limit"] == 2
    assert len(walks) == 1


def test_the_journal_keeps_how_and_what(few: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(job(few, out, num_beams=2, max_new_tokens=64))
    with Journal.open_existing(out) as journal:
        assert journal.value("asked")["questions"] == [["<OD>", None]]
        bound = journal.value("fingerprint")
        assert bound["settings"]["num_beams"]["given"] == 2
        assert bound["settings"]["num_beams"]["resolved"] == {"locations": 2, "text": 2}
        assert bound["settings"]["constrain"]["given"] is None


def test_only_a_given_setting_is_refused(few: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(job(few, out, num_beams=2, limit=1))
    assert run(job(few, out)).summary["fingerprint"]["num_beams"] == 2
    with pytest.raises(FingerprintError, match="num_beams = 2, and now it is 1"):
        run(job(few, out, num_beams=1))
    with pytest.raises(FingerprintError, match="num_beams"):
        job(few, out, num_beams=1).foresee(retry_failed=False)
    with pytest.raises(FingerprintError, match="questions"):
        run(job(few, out, task="caption", formats="coco-captions"))


def test_a_restart_forgets_what_bound_the_job(few: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(job(few, out, num_beams=2, limit=1))
    again = job(few, out, num_beams=1, limit=1, restart=True)
    assert again.foresee(retry_failed=False).pending == 1
    assert run(again).summary["fingerprint"]["num_beams"] == 1


def test_a_second_job_is_refused_before_its_model_is_loaded(
    few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    made = job(few, out)
    with lock.held(out), pytest.raises(LockedError):
        made.run(reporter=ScreenReporter(quiet=False))
    assert "loading" not in capsys.readouterr().err
    assert not out.exists()


def test_what_makes_no_sense_is_refused_when_a_job_is_made(few: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="no image found"):
        job(tmp_path / "empty", tmp_path / "out")
    with pytest.raises(UsageError, match="would hold nothing"):
        job(few, tmp_path / "out", formats="coco-captions")
    with pytest.raises(UsageError, match="no image has a"):
        job(few, tmp_path / "out", task="grounding", texts="sidecar")
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_that_moved_is_asked_for(few: Path, tmp_path: Path) -> None:
    checkpoint = Path(shutil.copytree(CHECKPOINT, tmp_path / "mine"))
    out = tmp_path / "out"
    run(job(few, out, model=str(checkpoint), limit=1))
    moved = checkpoint.rename(tmp_path / "moved")
    with pytest.raises(CheckpointError, match="give the command run with --model"):
        Job(job_spec.build({"sources": (str(few),)}), out)
    assert run(job(few, out, model=str(moved))).summary["run"]["annotated"] == 2
    with pytest.raises(CheckpointError, match=r"check the spelling$"):
        job(few, out, model=str(checkpoint))
    with pytest.raises(CheckpointError, match=r"check the spelling$"):
        job(few, out, model=str(moved), adapter="./nowhere")
