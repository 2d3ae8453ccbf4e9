"""What the commands print at their end."""

import sqlite3
from pathlib import Path

from conftest import annotate, command


def test_a_job_whose_only_run_was_killed_is_exported_and_told(scenes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert annotate(scenes, out, "--limit", 2, "-q").code == 0
    connection = sqlite3.connect(out / "job.db")
    connection.execute("UPDATE runs SET report = NULL")  # it is written when a run ends
    connection.commit()
    connection.close()
    result = command("export", out)
    assert result.code == 0, result.err
    assert "2 of 2 images annotated" in result.out
