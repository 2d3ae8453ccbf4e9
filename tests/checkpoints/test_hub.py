"""Checkpoints from the hub, as far as it needs no network."""

from pathlib import Path

import pytest

from florence_annotate.checkpoints import checkpoint as checkpoints
from florence_annotate.checkpoints import hub
from florence_annotate.errors import CheckpointError


def test_a_hub_failure_says_how_to_give_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError, match=r"--model \./folder"):
        checkpoints.find("base")


def test_what_is_not_to_be_fetched_is_said_to_be_missing() -> None:
    with pytest.raises(CheckpointError, match="check the spelling"):
        checkpoints.find("base", download=False)


def test_a_repository_in_the_cache_is_found_by_its_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--somebody--florence"
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert hub.fetch("somebody/florence", None, download=False) == snapshot
    assert hub.fetch("somebody/florence", commit, download=False) == snapshot
    with pytest.raises(CheckpointError, match="somebody/florence@other"):
        hub.fetch("somebody/florence", "other", download=False)


def test_a_name_that_the_hub_does_not_allow_is_refused() -> None:
    with pytest.raises(CheckpointError, match="no valid name"):
        hub.fetch("a/b c", None, download=False)
