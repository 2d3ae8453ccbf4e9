"""docs/scale.md: its scripts are scripts, and do what it says."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import command
from sharded_jobs import is_same_job, settled_in

ROOT = Path(__file__).parents[3]
DOC = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")


def block(name: str) -> str:
    """The code of the page behind a line that names a file or a folder, and ends there."""
    found = re.search(rf"`{re.escape(name)}`[^\n`]*:\n\n```\w+\n(.*?)^```", DOC, re.M | re.S)
    assert found, name
    return found[1]


class Cluster:
    """A folder in which the page's scripts run as tasks of an array, one after the other; each ends
    with one command, which runs in this process."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._given = folder / ".given"
        program = folder / ".bin" / "florence-annotate"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nprintf "%s\\0" "$@" > {self._given}\n')
        program.chmod(0o755)
        path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
        self._environment = os.environ | {"PATH": path, "MODEL": "shapes"}
        monkeypatch.chdir(folder)

    def run(self, script: str, **environment: str) -> None:
        environment = self._environment | environment
        subprocess.run(["bash", "--norc", "-e", "-c", script], env=environment, check=True)
        done = command(*self._given.read_text().split("\0")[:-1])
        assert done.code == 0, done.err


@pytest.fixture
def cluster(scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    shutil.copytree(scenes, tmp_path / "images")
    return Cluster(tmp_path, monkeypatch)


def test_the_scripts_for_slurm_are_scripts_and_make_the_dataset_of_one_run(
    cluster: Cluster, whole: Path
) -> None:
    array, merge = block("annotate.sbatch"), block("merge.sbatch")
    for script in (array, merge):
        assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0
        assert script.startswith("#!/bin/bash\n#SBATCH ")
    span = re.search(r"^#SBATCH --array=1-(\d+)$", array, re.M)
    assert span is not None
    assert re.search(r"^SHARDS=(\d+)$", array, re.M)[1] == span[1]
    for task in range(1, int(span[1]) + 1):
        cluster.run(array, SLURM_ARRAY_TASK_ID=str(task))
    cluster.run(merge)
    is_same_job(cluster.folder / "images-dataset", whole)


def test_the_manifest_for_kubernetes_is_one_and_makes_the_dataset_of_one_run(
    cluster: Cluster, whole: Path
) -> None:
    (job,) = yaml.safe_load_all(block("annotate.yaml"))
    spec = job["spec"]
    assert (job["kind"], job["apiVersion"]) == ("Job", "batch/v1")
    assert spec["completionMode"] == "Indexed" and spec["parallelism"] <= spec["completions"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts.keys() == {volume["name"] for volume in pod["volumes"]}
    (shell, flag, script) = container["command"]
    assert (shell, flag) == ("/bin/bash", "-c")
    given = {each["name"]: each["value"] for each in container["env"]}
    assert given.pop("SHARDS") == str(spec["completions"])
    script = script.replace(mounts["data"], str(cluster.folder))
    for task in range(spec["completions"]):
        cluster.run(script, JOB_COMPLETION_INDEX=str(task), SHARDS=str(spec["completions"]))
    merge = f"florence-annotate merge {cluster.folder}/images-dataset-*-of-{spec['completions']} "
    cluster.run(f"{merge} -o {cluster.folder}/images-dataset")
    is_same_job(cluster.folder / "images-dataset", whole)


@pytest.mark.slow
def test_a_newcomer_runs_what_the_page_shows(tmp_path: Path) -> None:
    """The commands of its first part, as they stand there, in an empty folder."""
    program = tmp_path / "bin" / "florence-annotate"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m florence_annotate "$@"\n')
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)}
    script = ["bash", "--norc", "-e", "-c", block("street")]
    subprocess.run(script, cwd=tmp_path, env=environment, check=True, timeout=300)
    assert len(settled_in(tmp_path / "street-dataset")) == 40
