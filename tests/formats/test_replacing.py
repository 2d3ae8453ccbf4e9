"""What an export does with what lies in the output folder."""

import os
import shutil
from pathlib import Path

from conftest import annotate, command, tree
from read_back import (
    image_names,
)
from written_answers import picture


def test_formats_that_are_no_longer_asked_for_leave(dataset: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(dataset, tmp_path / "out", symlinks=True))
    assert command("export", out, "--format", "coco", "--no-visuals").code == 0
    assert not (out / "labels").exists()
    assert not (out / "data.yaml").exists()
    assert not (out / "visuals").exists()
    assert (out / "annotations" / "instances_train.json").exists()


def test_a_corrected_file_is_not_overwritten(dataset: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(dataset, tmp_path / "out", symlinks=True))
    label = next((out / "labels").rglob("*.txt"))
    label.write_text("0 0.5 0.5 0.1 0.1\n")
    before = tree(out)
    refused = command("export", out, "--min-score", 0.5)
    assert refused.code == 1
    assert label.name in refused.err
    assert "--overwrite" in refused.err
    assert tree(out) == before
    assert command("export", out, "--min-score", 0.5, "--overwrite").code == 0
    assert label.read_text() != "0 0.5 0.5 0.1 0.1\n"


def test_a_corrected_file_is_not_removed_either(dataset: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(dataset, tmp_path / "out", symlinks=True))
    (out / "data.yaml").write_text("mine")
    assert command("export", out, "--format", "coco").code == 1
    assert (out / "data.yaml").read_text() == "mine"


def test_a_corrected_file_that_was_backed_up_by_a_link_is_protected_too(
    dataset: Path, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(dataset, tmp_path / "out", symlinks=True))
    label = next((out / "labels").rglob("*.txt"))
    label.write_text("0 0.5 0.5 0.1 0.1\n")
    os.link(label, tmp_path / "backup.txt")
    assert command("export", out, "--min-score", 0.5).code == 1


def images_of(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "images").rglob("*.png")}


def test_the_datasets_copies_stay_when_the_originals_are_gone(tmp_path: Path) -> None:
    for number in range(4):
        picture(tmp_path / "in" / f"{number}.png", (40 + number, 40))
    out = tmp_path / "out"
    assert annotate(tmp_path / "in", out).code == 0
    before = images_of(out)
    shutil.rmtree(tmp_path / "in")
    result = command("export", out, "--split", "train=0.5,val=0.5", "--seed", 3, "--json")
    assert result.code == 0, result.err
    assert images_of(out) == before
    assert result.json["left_out"] == {}


def test_the_last_copy_of_a_image_is_never_deleted(tmp_path: Path) -> None:
    for number in range(2):
        picture(tmp_path / "in" / f"{number}.png", (40 + number, 40))
    out = tmp_path / "out"
    assert annotate(tmp_path / "in", out).code == 0
    bytes_of_it = (tmp_path / "in" / "1.png").read_bytes()
    (tmp_path / "in" / "1.png").unlink()
    assert annotate(tmp_path / "in", out).code == 0
    assert image_names(out) == ["0.png"]
    (orphan,) = (out / "orphans").iterdir()
    assert orphan.read_bytes() == bytes_of_it
