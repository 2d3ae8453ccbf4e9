"""The images of a dataset: links to the originals, or files of their own."""

import json
import shutil
from pathlib import Path

import pytest
import supervision as sv
from conftest import annotate, command
from PIL import Image
from read_back import image_names
from written_answers import picture


def test_images_are_hard_links_to_the_originals(dataset: Path, scenes: Path) -> None:
    for path in (dataset / "images").rglob("*.jpg"):
        assert path.samefile(scenes / path.name)
        assert not path.is_symlink()


@pytest.mark.parametrize("mode", ["symlink", "copy", "none"])
def test_images_come_as_asked(dataset: Path, scenes: Path, tmp_path: Path, mode: str) -> None:
    out = Path(shutil.copytree(dataset, tmp_path / "out", symlinks=True))
    assert command("export", out, "--images", mode).code == 0
    found = sorted((out / "images").rglob("*.jpg")) if (out / "images").exists() else []
    assert len(found) == (0 if mode == "none" else 20)
    for path in found:
        original = scenes / path.name
        assert path.is_symlink() == (mode == "symlink")
        assert path.read_bytes() == original.read_bytes()
        assert path.samefile(original) == (mode == "symlink")


def test_copies_replace_links_and_the_reverse(scenes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert (
        annotate(scenes, out, "--limit", 2, "--split", "train=1", "--images", "hardlink").code == 0
    )
    path = next((out / "images").rglob("*.jpg"))
    assert path.samefile(scenes / path.name)
    assert command("export", out, "--images", "copy").code == 0
    assert not path.samefile(scenes / path.name)
    assert command("export", out, "--images", "hardlink").code == 0
    assert path.samefile(scenes / path.name)


def test_what_yolo_readers_do_not_list_is_written_as_png(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (32, 32), c) for c in ("red", "blue")]
    (tmp_path / "in").mkdir()
    frames[0].save(tmp_path / "in" / "a.gif", save_all=True, append_images=frames[1:])
    picture(tmp_path / "in" / "b.PNG")
    out = tmp_path / "out"
    assert annotate(tmp_path / "in", out, "--split", "train=1").code == 0
    assert image_names(out) == ["a.png", "b.PNG"]
    with Image.open(out / "images" / "train" / "a.png") as png:
        assert png.format == "PNG"
        assert png.convert("RGB").getpixel((5, 5)) == (255, 0, 0)
    read = sv.DetectionDataset.from_yolo(
        str(out / "images" / "train"), str(out / "labels" / "train"), str(out / "data.yaml")
    )
    assert len(read) == 2


def test_a_turned_or_unfinished_original_is_copied_instead_of_linked(tmp_path: Path) -> None:
    source = tmp_path / "in"
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(source / "turned.jpg", (60, 40), exif=exif)
    picture(source / "tail.jpg")
    (source / "tail.jpg").write_bytes((source / "tail.jpg").read_bytes() + b"phone")
    picture(source / "plain.jpg")
    before = {path.name: path.read_bytes() for path in source.iterdir()}
    out = tmp_path / "out"
    assert annotate(source, out, "--split", "train=1", "--images", "hardlink").code == 0
    images = out / "images" / "train"
    with Image.open(images / "turned.jpg") as upright:
        assert upright.size == (40, 60)
        assert 0x0112 not in upright.getexif()
    assert (images / "tail.jpg").read_bytes() == before["tail.jpg"]
    assert (images / "plain.jpg").samefile(source / "plain.jpg")
    assert not (images / "tail.jpg").samefile(source / "tail.jpg")
    assert {path.name: path.read_bytes() for path in source.iterdir()} == before
    sizes = {
        image["file_name"]: (image["width"], image["height"])
        for image in json.loads((out / "annotations/instances_train.json").read_text())["images"]
    }
    assert sizes["turned.jpg"] == (40, 60)
