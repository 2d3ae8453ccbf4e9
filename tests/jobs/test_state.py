"""How a job looks from outside."""

from pathlib import Path

from conftest import command

from florence_annotate.journal import lock


def test_a_job_that_is_about_to_begin_is_told_from_none(tmp_path: Path) -> None:
    assert "there is no job.db in it" in command("status", tmp_path).err
    with lock.held(tmp_path):
        result = command("status", tmp_path)
    assert result.code == 1
    assert "is about to begin one; ask again soon" in result.err


def test_a_job_whose_dataset_is_written_runs_without_a_rate(dataset: Path) -> None:
    assert command("status", dataset, "--json").json["state"] == "ended"
    with lock.held(dataset):
        status = command("status", dataset, "--json").json
    assert (status["state"], status["images_per_second"]) == ("running", None)
