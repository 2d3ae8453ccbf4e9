"""Uploads to the hub, with a stand-in for the client's upload calls alone."""

import shutil
from pathlib import Path
from typing import Any

import datasets
import pytest
import yaml
from conftest import annotate, command
from huggingface_hub import HfApi


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of the repository."""
    folder = tmp_path / "hub"

    def create_repo(self: HfApi, repo_id: str, **options: Any) -> str:
        assert options == {"repo_type": "dataset", "private": True, "exist_ok": True}
        folder.mkdir(exist_ok=True)
        return f"https://hub/datasets/{repo_id}"

    def upload_folder(
        self: HfApi, *, folder_path: Path, path_in_repo: str, delete_patterns: list[str], **to: str
    ) -> None:
        assert (to.pop("repo_id"), to.pop("repo_type")) == ("me/scenes", "dataset")
        assert delete_patterns == ["*"] and to.keys() == {"commit_message"}
        shutil.rmtree(folder / path_in_repo, ignore_errors=True)
        shutil.copytree(folder_path, folder / path_in_repo)

    def upload_file(self: HfApi, *, path_or_fileobj: bytes, path_in_repo: str, **to: str) -> None:
        assert (to.pop("repo_id"), to.pop("repo_type")) == ("me/scenes", "dataset")
        assert to.keys() == {"commit_message"}
        (folder / path_in_repo).write_bytes(path_or_fileobj)

    for call in (create_repo, upload_folder, upload_file):
        monkeypatch.setattr(HfApi, call.__name__, call)
    return folder


@pytest.mark.parametrize("name", ["parquet", "imagefolder"])
def test_what_was_uploaded_loads_as_its_card_says(
    name: str, scenes: Path, tmp_path: Path, hub: Path
) -> None:
    options = ["--format", f"yolo,{name}", "--push-to-hub", "me/scenes"]
    result = annotate(scenes, tmp_path / "out", *options)
    assert result.code == 0, result.err
    assert "https://hub/datasets/me/scenes" in result.err
    card = (hub / "README.md").read_text()
    assert "checkpoint: shapes" in card and "<OD>" in card and "| star |" in card
    head = yaml.safe_load(card.split("---")[1])
    assert [part["split"] for part in head["configs"][0]["data_files"]] == ["train", "val"]
    loaded = datasets.load_dataset(str(hub), cache_dir=str(tmp_path / "cache"))
    assert sum(len(split) for split in loaded.values()) == 20
    assert loaded["train"][0]["image"].size


def test_a_finished_job_is_uploaded_by_export(scenes: Path, tmp_path: Path, hub: Path) -> None:
    out = tmp_path / "out"
    assert annotate(scenes, out, "--limit", 4).code == 0
    refused = command("export", out, "--push-to-hub", "me/scenes")
    assert refused.code == 2 and "parquet" in refused.err and not hub.exists()
    done = command("export", out, "--format", "parquet", "--push-to-hub", "me/scenes")
    assert done.code == 0 and (hub / "parquet" / "train.parquet").is_file()


def test_a_dataset_that_misses_a_gate_is_not_uploaded(
    scenes: Path, tmp_path: Path, hub: Path
) -> None:
    out = tmp_path / "out"
    options = ["--format", "parquet", "--limit", 2, "--min-instances", "star=99"]
    short = annotate(scenes, out, *options, "--push-to-hub", "me/scenes")
    assert short.code == 3 and not hub.exists()
    said = [line for line in short.err.splitlines() if "star=99" in line or "uploaded" in line]
    assert len(said) == 2 and said[1].startswith("not uploaded to me/scenes; 'export' without")
    assert command("export", out, "--push-to-hub", "me/scenes").code == 0
    assert (hub / "README.md").is_file()


def test_a_split_that_a_list_alone_has_is_on_the_card(
    scenes: Path, tmp_path: Path, hub: Path
) -> None:
    (tmp_path / "test.txt").write_text(min(path.name for path in scenes.glob("*.jpg")))
    options = ["--split-file", f"test={tmp_path / 'test.txt'}", "--push-to-hub", "me/scenes"]
    result = annotate(scenes, tmp_path / "out", "--format", "parquet", "--limit", 4, *options)
    assert result.code == 0, result.err
    head = yaml.safe_load((hub / "README.md").read_text().split("---")[1])
    assert [part["split"] for part in head["configs"][0]["data_files"]] == ["train", "test"]


def test_a_folder_without_a_file_of_the_dataset_is_no_split(
    scenes: Path, tmp_path: Path, hub: Path
) -> None:
    """The hub finds no data in it, and reads none of the others then."""
    out = tmp_path / "out"
    options = ["--format", "imagefolder", "--limit", 2, "--split", "train=1"]
    assert annotate(scenes, out, *options).code == 0
    (out / "images" / "test").mkdir()
    assert command("export", out, "--push-to-hub", "me/scenes").code == 0
    head = yaml.safe_load((hub / "README.md").read_text().split("---")[1])
    assert [part["split"] for part in head["configs"][0]["data_files"]] == ["train"]


def test_a_name_that_is_none_is_refused_before_the_job(scenes: Path, tmp_path: Path) -> None:
    options = ["--format", "parquet", "--push-to-hub", "a/b/c"]
    result = annotate(scenes, tmp_path / "out", *options)
    assert result.code == 2 and "--push-to-hub" in result.err
    assert not (tmp_path / "out").exists()


def test_a_failed_upload_says_that_the_dataset_is_safe(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: HfApi, repo_id: str, **options: Any) -> str:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(HfApi, "create_repo", fail)
    options = ["--limit", 2, "--format", "parquet", "--push-to-hub", "me/scenes"]
    result = annotate(scenes, tmp_path / "out", *options)
    assert result.code == 1 and "no route to host" in result.err and "hf auth login" in result.err
    assert (tmp_path / "out" / "parquet" / "train.parquet").is_file()
