"""The twenty scenes as three shards, and as one run."""

import shutil
from pathlib import Path

import pytest
from conftest import annotate
from sharded_jobs import annotate_shards


@pytest.fixture(scope="session")
def shards(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The outputs of the shards. Not to be written to."""
    return annotate_shards(scenes, tmp_path_factory.mktemp("shards"))


@pytest.fixture(scope="session")
def whole(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset of one run. Not to be written to."""
    out = tmp_path_factory.mktemp("whole") / "images-dataset"
    assert annotate(scenes, out, "-q").code == 0
    return out


@pytest.fixture
def copied(shards: list[Path], tmp_path: Path) -> list[Path]:
    """The shards, to be written to."""
    return [shutil.copytree(shard, tmp_path / shard.name) for shard in shards]
