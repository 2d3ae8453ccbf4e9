"""Images whose file is gone, or another one now."""

import os
from pathlib import Path

from conftest import annotate, command, tree
from read_back import image_names
from written_answers import picture


def test_an_export_that_would_leave_nothing_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "in" / "1.png")
    out = tmp_path / "out"
    assert annotate(tmp_path / "in", out, "--images", "symlink").code == 0
    before = tree(out)
    (tmp_path / "in").rename(tmp_path / "moved")
    refused = command("export", out)
    assert refused.code == 1
    assert "put them back" in refused.err
    assert tree(out) == before


def test_an_image_that_changed_or_left_since_is_left_out_by_name(tmp_path: Path) -> None:
    for number, name in enumerate(("kept.png", "changed.png", "gone.png", "touched.png")):
        picture(tmp_path / "in" / name, (40 + number, 40))
    out = tmp_path / "out"
    assert annotate(tmp_path / "in", out, "--images", "symlink").code == 0
    picture(tmp_path / "in" / "changed.png", (80, 80))
    (tmp_path / "in" / "gone.png").unlink()
    os.utime(tmp_path / "in" / "touched.png", (1, 1))
    result = command("export", out, "--json")
    assert result.code == 0, result.err
    assert set(result.json["left_out"]) == {"changed.png", "gone.png"}
    assert image_names(out) == ["kept.png", "touched.png"]
