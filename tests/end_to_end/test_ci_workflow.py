"""The workflow of docs/ci.md: its shell lines, run as a runner of GitHub runs them."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import command

from florence_annotate.config import job_spec

ROOT = Path(__file__).parents[2]
DOC = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
WORKFLOW = yaml.safe_load(re.findall(r"^```yaml\n(.*?)^```", DOC, re.MULTILINE | re.DOTALL)[0])
STEPS: dict[str, Any] = {
    step["name"]: step for step in WORKFLOW["jobs"]["annotate"]["steps"] if "name" in step
}


class Runner:
    """A folder in which steps run, with `florence-annotate` on the path, and a `pip` that installs
    nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        programs = folder / ".bin"
        programs.mkdir()
        self._program(programs / "florence-annotate", f'{sys.executable} -m florence_annotate "$@"')
        self._program(programs / "pip", "echo pip $*")
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        self._environment = os.environ | WORKFLOW["env"] | {"PATH": path, "PYTHONPATH": str(ROOT)}

    def _program(self, path: Path, line: str) -> None:
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)

    def run(self, step: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-c", STEPS[step]["run"]],
            cwd=self.folder,
            env=self._environment | environment,
            capture_output=True,
            text=True,
            timeout=300,
        )


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    assert command("demo", tmp_path / "images", "--count", 4).code == 0
    (tmp_path / "images" / "ground-truth.json").rename(tmp_path / "truth.json")
    (tmp_path / "classes.yaml").write_text("cross:\nellipse:\nrectangle:\nstar:\ntriangle:\n")
    return Runner(tmp_path)


def test_every_step_runs_and_a_second_run_asks_nothing_again(runner: Runner) -> None:
    ours = {"MODEL": "shapes", "GATES": "--min-labelled 80% --min-instances triangle=1"}
    here = runner.folder
    for name, step in STEPS.items():
        if "run" in step:
            done = runner.run(name, **ours)
            assert done.returncode == 0, (name, done.stderr)
    result = json.loads((here / "result.json").read_text())
    assert result["run"]["annotated"] == 4 and result["missed_gates"] == []
    assert [gate["gate"] for gate in result["gates"]] == [
        *("max_failures", "min_labelled", "min_instances", "max_truncated"),
    ]

    # what a later runner has: a new checkout, and the cached job
    (here / "dataset" / "job.db").rename(here / "job.db")
    shutil.rmtree(here / "dataset")
    (here / "dataset").mkdir()
    (here / "job.db").rename(here / "dataset" / "job.db")
    for image in (here / "images").iterdir():
        copy = image.with_suffix(".part")
        shutil.copy(image, copy)
        copy.replace(image)
    runner.run("Keep what was before", **ours)
    ours["GATES"] = "--min-instances triangle=1000"
    done = runner.run("Annotate", **ours)
    assert done.returncode == 3 and "--min-instances triangle=1000 is missed" in done.stderr
    assert json.loads((here / "result.json").read_text())["run"]["annotated"] == 0
    assert list((here / "dataset" / "labels").rglob("*.txt"))
    done = runner.run("Compare", **ours)
    assert done.returncode == 0 and "0 changed (0.0%)" in done.stdout


def test_caches_hold_what_the_steps_use() -> None:
    restored, saved = STEPS["Restore the job"]["with"], STEPS["Save the job"]["with"]
    assert restored["path"] == saved["path"] == "dataset/job.db"
    assert restored["key"] == saved["key"]
    assert saved["key"].startswith(restored["restore-keys"])


def test_the_configuration_of_the_page_is_one(tmp_path: Path) -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```", DOC, re.MULTILINE | re.DOTALL)
    (tmp_path / "own.yaml").write_text(blocks[-1])
    spec = job_spec.build({}, str(tmp_path / "own.yaml"))
    assert str(spec.min_labelled) == "80%" and spec.min_instances == {"person": 10, "car": 5}
    assert str(job_spec.build({}, "ci").max_truncated) == "2%"
