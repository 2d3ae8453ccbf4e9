"""`--compile`, in a process of its own each: a compiler keeps its settings for good."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import tree


def compile_and_run(source: Path, out: Path, compiler: str) -> subprocess.CompletedProcess[str]:
    arguments = ["run", source, "-o", out, "--model", "shapes", "--workers", 0, "--compile"]
    return subprocess.run(
        [sys.executable, "-m", "florence_annotate", *map(str, arguments)],
        env={**os.environ, "CXX": compiler, "TORCHINDUCTOR_CACHE_DIR": str(out.parent / "cache")},
        capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="g++ is not installed")
def test_a_compiled_tower_gives_the_same_dataset(
    scenes: Path, dataset: Path, tmp_path: Path
) -> None:
    done = compile_and_run(scenes, tmp_path / "out", "g++")
    assert done.returncode == 0, done.stderr
    assert "compiled in" in done.stderr
    out = tree(tmp_path / "out", without_scores=True)
    expected = tree(dataset, without_scores=True)
    assert out == {name: held for name, held in expected.items() if name in out}
    assert any(name.startswith("annotations/") for name in out)


@pytest.mark.slow
def test_without_a_compiler_the_job_does_not_start_and_says_why(
    scenes: Path, tmp_path: Path
) -> None:
    done = compile_and_run(scenes, tmp_path / "out", "/nonexistent/g++")
    assert done.returncode == 1
    assert "C++ compiler" in done.stderr
    assert "Leave --compile out" in done.stderr
    assert not (tmp_path / "out").exists()
