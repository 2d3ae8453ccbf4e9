"""Which formats a job can have."""

import shutil
from pathlib import Path

import pytest
from conftest import command, tree


@pytest.mark.parametrize("name", ["imagefolder", "labelme", "label-studio"])
def test_what_lies_beside_images_is_refused_without_them(
    exported: Path, tmp_path: Path, name: str
) -> None:
    out = Path(shutil.copytree(exported, tmp_path / "out", symlinks=True))
    refused = command("export", out, "--format", name, "--images", "none")
    assert refused.code == 2
    assert f"--format {name}" in refused.err
    assert tree(out) == tree(exported)


def test_parquet_without_pyarrow_says_what_to_install(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Path(shutil.copytree(exported, tmp_path / "out", symlinks=True))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    refused = command("export", out, "--format", "parquet")
    assert refused.code == 2
    assert "pip install pyarrow" in " ".join(refused.err.split())
