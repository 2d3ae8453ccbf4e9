"""A folder that holds everything that goes wrong, annotated in one job."""

import json
import os
import shutil
import socket
from pathlib import Path

import pytest
import supervision as sv
from conftest import annotate, command
from image_files import POSTSCRIPT, bomb, encoded, grey16, icon
from PIL import Image
from pycocotools.coco import COCO

from florence_annotate.journal import Journal

READABLE = [
    "16-bit.png", "alpha.png", "animated.gif", "cmyk.jpg", "copy of good.jpg", "dot.png",
    "good.jpg", "grey-alpha.png", "link.jpg", "palette.png", "panorama.png", "really-a-png.jpg",
    "-leading-dash.jpg", "quote's \"name\" #1.jpg", "emoji 😀 日本.jpg", "new\\u000aline.jpg",
    "\\xff\\xfe.jpg", "a/1.jpg", "b/1.jpg", "images/deep/1.jpg", "folder.jpg/1.jpg", "1.jpg",
    "1.png", "trailing space .jpg", "UPPER.JPG",
]  # fmt: skip

UNREADABLE = {
    "bomb.png": "too-large",
    "empty.jpg": "empty",
    "icon.jpg": "other-format",
    "postscript.png": "other-format",
    "text.jpg": "not-an-image",
    "truncated.jpg": "truncated",
    "video.png": "not-an-image",
}

SKIPPED = {"broken-link.jpg", "device.jpg", "fifo.jpg", "loop.jpg", "socket.jpg", ".hidden.jpg"}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, scenes: Path) -> Path:
    folder = tmp_path_factory.mktemp("hostile") / "in"
    good = sorted(scenes.glob("*.jpg"))[0].read_bytes()
    for key in READABLE:
        name = os.fsencode(key.replace("\\u000a", "\n"))
        name = name.replace(b"\\xff\\xfe", b"\xff\xfe")
        path = os.path.join(os.fsencode(folder), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if not key.startswith(("link", "folder.jpg/x")):
            with open(path, "wb") as file:
                file.write(good)
    import numpy as np

    (folder / "16-bit.png").write_bytes(grey16(np.arange(64 * 64).reshape(64, 64) * 15))
    (folder / "alpha.png").write_bytes(encoded(Image.new("RGBA", (64, 64), (9, 8, 7, 6)), "PNG"))
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    (folder / "animated.gif").write_bytes(
        encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    )
    (folder / "cmyk.jpg").write_bytes(encoded(Image.new("CMYK", (64, 64), (9, 99, 9, 0)), "JPEG"))
    (folder / "dot.png").write_bytes(encoded(Image.new("RGB", (1, 1)), "PNG"))
    (folder / "grey-alpha.png").write_bytes(encoded(Image.new("LA", (64, 64), (9, 9)), "PNG"))
    (folder / "palette.png").write_bytes(encoded(Image.new("P", (64, 64), 3), "PNG"))
    (folder / "panorama.png").write_bytes(encoded(Image.new("RGB", (20_000, 10)), "PNG"))
    (folder / "really-a-png.jpg").write_bytes(encoded(Image.new("RGB", (64, 64)), "PNG"))
    (folder / "1.png").write_bytes(encoded(Image.new("RGB", (64, 64)), "PNG"))
    (folder / "link.jpg").symlink_to("good.jpg")

    (folder / "bomb.png").write_bytes(bomb(60_000))
    (folder / "empty.jpg").touch()
    (folder / "icon.jpg").write_bytes(icon(2_000))
    (folder / "postscript.png").write_bytes(POSTSCRIPT)
    (folder / "text.jpg").write_text("not an image")
    (folder / "truncated.jpg").write_bytes(good[: len(good) // 2])
    (folder / "video.png").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(100))

    (folder / "broken-link.jpg").symlink_to("nowhere.jpg")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (folder / "a" / "loop").symlink_to("..")
    (folder / "device.jpg").symlink_to("/dev/zero")
    os.mkfifo(folder / "fifo.jpg")
    (folder / ".hidden.jpg").write_bytes(good)
    (folder / "notes.txt").write_text("no image")
    here = Path.cwd()
    os.chdir(folder)  # a socket's path is short
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind("socket.jpg")
    finally:
        os.chdir(here)
    return folder


@pytest.fixture(scope="module")
def annotated(hostile: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("hostile-out") / "out"
    result = annotate(hostile, out, "--workers", 2, "--visuals", "--split", "train=1")
    assert result.code == 3, result.err
    return out


def test_every_readable_image_is_annotated_and_every_other_has_its_reason(
    annotated: Path,
) -> None:
    with Journal.open_to_write(annotated) as journal:
        keys = {record.ref.key for record in journal.records()}
        failures = {failure.ref.key: failure.kind for failure in journal.failures()}
    assert keys == set(READABLE)
    assert failures == UNREADABLE
    summary = json.loads((annotated / "summary.json").read_text())
    skipped = {Path(entry["name"]).name for entry in summary["run"]["skipped"]}
    assert skipped == SKIPPED
    listed = command("failures", annotated).out
    assert all(name in listed for name in UNREADABLE)


def test_the_readers_find_every_image(annotated: Path) -> None:
    read = COCO(str(annotated / "annotations" / "instances_train.json"))
    keys = {image["key"]: image["file_name"] for image in read.loadImgs(read.getImgIds())}
    assert set(keys) == set(READABLE)
    assert len(set(keys.values())) == len(READABLE)
    images = annotated / "images" / "train"
    for name in keys.values():
        assert (images / name).is_file()
        assert "/images/" not in f"/{name}"
        assert not Path(name).name.startswith(".")
        name.encode("utf-8")
    flat = [name for name in keys.values() if "/" not in name]
    supervised = sv.DetectionDataset.from_yolo(
        str(images), str(annotated / "labels" / "train"), str(annotated / "data.yaml")
    )
    assert len(supervised) == len(flat)
    labels = {
        str(p.relative_to(annotated / "labels" / "train"))
        for p in (annotated / "labels").rglob("*.txt")
    }
    assert labels == {
        str(Path(name).with_suffix(".txt")) for key, name in keys.items() if key != "dot.png"
    }  # fmt: skip


def test_images_with_the_same_bytes_get_the_same_boxes(annotated: Path) -> None:
    with Journal.open_to_write(annotated) as journal:
        answers = {r.ref.key: [a.data for a in r.answers] for r in journal.records()}
    same = ["good.jpg", "copy of good.jpg", "link.jpg", "a/1.jpg", "\\xff\\xfe.jpg", "UPPER.JPG"]
    assert all(answers[key] == answers["good.jpg"] for key in same)


def test_the_source_is_untouched(hostile: Path, annotated: Path, scenes: Path) -> None:
    good = sorted(scenes.glob("*.jpg"))[0].read_bytes()
    assert (hostile / "good.jpg").read_bytes() == good
    assert (hostile / "link.jpg").is_symlink()
    assert (hostile / "truncated.jpg").read_bytes() == good[: len(good) // 2]
    assert not (hostile / "out").exists()


def test_an_image_without_permission_is_a_failure(tmp_path: Path, scenes: Path) -> None:
    if os.geteuid() == 0:
        # root reads everything: take the right away in a child that is nobody
        child = os.fork()
        if child == 0:
            try:
                os.setgid(65534)
                os.setuid(65534)
                from florence_annotate.images.codec import UnreadableImageError, read_bytes

                try:
                    read_bytes(os.fsencode(secret(Path("/tmp"), scenes)))
                except UnreadableImageError as error:
                    os._exit(0 if error.kind == "permission" else 2)
                os._exit(3)
            finally:
                os._exit(4)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        return
    secret(tmp_path / "in", scenes)
    assert annotate(tmp_path / "in", tmp_path / "out").code == 3
    assert "permission (read)" in command("failures", tmp_path / "out").out


def secret(folder: Path, scenes: Path) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"secret-{os.getpid()}.jpg"
    path.write_bytes(b"x")
    path.chmod(0)
    return path


def test_a_list_may_point_anywhere_and_nothing_is_written_outside_the_output(
    tmp_path: Path, scenes: Path
) -> None:
    image = sorted(scenes.glob("*.jpg"))[0]
    (tmp_path / "lists").mkdir()
    shutil.copy(image, tmp_path / "beside.jpg")
    (tmp_path / "lists" / "all.txt").write_text(f"../beside.jpg\n{image}\ngone.jpg\n")
    before = sorted(tmp_path.rglob("*"))
    out = tmp_path / "out"
    result = annotate(f"@{tmp_path}/lists/all.txt", out, "--json")
    assert result.code == 0, result.err
    assert result.json["images"]["annotated"] == 2
    assert [Path(s["name"]).name for s in result.json["run"]["skipped"]] == ["gone.jpg"]
    outside = [path for path in tmp_path.rglob("*") if out not in path.parents and path != out]
    assert sorted(outside) == before
    for name in result.json["files"]:
        assert out in (out / name).absolute().parents
        assert ".." not in name


def test_a_link_to_a_name_that_is_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with open(bytes(tmp_path / "in") + b"/bad\xff\xfe.png", "wb") as file:
        Image.new("RGB", (32, 32)).save(file, "PNG")
    for _ in range(2):  # the second time, what the first one noted is read
        result = annotate(tmp_path / "in", tmp_path / "out", "--images", "symlink")
        assert result.code == 0, result.err
    (link,) = (path for path in (tmp_path / "out" / "images").rglob("*") if path.is_symlink())
    with Image.open(link) as image:
        assert image.size == (32, 32)
