"""Files that are given and can't be read are refused in one line, at once, whatever they are."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
from conftest import annotate, command
from small_models import copy_of_shapes
from written_answers import picture

from florence_annotate.labels.yolo import label_files


def fifo(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


def gigabytes(path: Path) -> None:
    path.touch()
    os.truncate(path, 3 << 30)  # a hole, which takes no room


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def deep(path: Path) -> None:
    path.write_text("[" * 100_000 + "]" * 100_000)


OPTIONS: dict[str, tuple[tuple[str, ...], int, str]] = {
    "classes.yaml": (("--classes-file", "{}"), 2, "can't read the class file"),
    "config.yaml": (("--config", "{}"), 2, "can't read the configuration"),
    "texts.csv": (("--task", "grounding", "--texts", "{}"), 2, "can't read the texts"),
    "regions.json": (
        ("--task", "region-to-category", "--regions", "{}"),
        2,
        "can't read the regions",
    ),
}
"""File name → how it is given, and how it is refused."""


@pytest.fixture
def images(tmp_path: Path) -> Path:
    picture(tmp_path / "in" / "1.png")
    return tmp_path / "in"


@pytest.mark.parametrize(
    ("name", "make"),
    [
        *product(OPTIONS, (fifo, folder, gigabytes, device)),
        *((name, deep) for name in OPTIONS if not name.endswith(".csv")),
    ],
)
def test_a_given_file_that_cannot_be_read_is_refused_in_one_line(
    name: str, make: Callable[[Path], None], images: Path, tmp_path: Path
) -> None:
    options, code, said = OPTIONS[name]
    make(tmp_path / name)
    signal.alarm(30)
    result = annotate(
        images, tmp_path / "out", *(option.format(tmp_path / name) for option in options)
    )
    assert result.code == code, result.err
    assert result.err.startswith(f"error: {said} "), result.err
    assert len(result.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("make", [fifo, folder, gigabytes, device])
def test_a_list_of_images_that_cannot_be_read_is_refused_in_one_line(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    make(tmp_path / "list")
    signal.alarm(30)
    result = annotate(f"@{tmp_path / 'list'}", tmp_path / "out")
    assert (result.code, len(result.err.splitlines())) == (1, 1)
    assert result.err.startswith("error: can't read the list ")


def test_a_list_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(b"a\0b.jpg\n")
    result = annotate(f"@{tmp_path / 'list'}", tmp_path / "out")
    assert (result.code, len(result.err.splitlines())) == (2, 1)
    assert "is no text" in result.err


@pytest.mark.parametrize("make", [fifo, folder, gigabytes, device])
def test_a_text_beside_an_image_that_cannot_be_read_is_none(
    make: Callable[[Path], None], images: Path, tmp_path: Path
) -> None:
    picture(images / "2.png")
    make(images / "1.txt")
    (images / "2.txt").write_text("a star")
    signal.alarm(60)
    options = ("--task", "grounding", "--texts", "sidecar", "--json")
    result = annotate(images, tmp_path / "out", *options)
    assert result.code == 0, result.err
    assert result.json["images_not_asked"] == 1


@pytest.mark.parametrize("make", [fifo, folder, gigabytes, device])
@pytest.mark.parametrize("name", ["data.yaml", "labels/train/1.txt"])
def test_a_file_of_a_yolo_folder_that_cannot_be_read_is_named(
    name: str, make: Callable[[Path], None], images: Path, tmp_path: Path
) -> None:
    yolo = tmp_path / "yolo"
    (yolo / "labels" / "train").mkdir(parents=True)
    (yolo / "data.yaml").write_text("names: [thing]\n")
    (yolo / "labels" / "train" / "2.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (yolo / name).unlink(missing_ok=True)
    make(yolo / name)
    signal.alarm(30)
    options = ("--task", "region-to-category", "--regions", yolo, "--dry-run")
    result = annotate(images, tmp_path / "out", *options)
    if name != "data.yaml" and make is folder:  # a folder of labels as any other
        assert result.code == 2 and "none of the images is named" in result.err
        return
    assert (result.code, len(result.err.splitlines())) == (2, 1)
    assert f"{name}: it " in result.err


def test_a_folder_of_labels_that_may_not_be_listed_is_not_passed_over(tmp_path: Path) -> None:
    """As nobody, since root may list everything."""
    shared = Path("/tmp") / f"labels-{os.getpid()}"
    secret = shared / "labels" / "secret"
    secret.mkdir(parents=True)
    try:
        secret.chmod(0)
        child = os.fork()
        if child == 0:
            try:
                if os.geteuid() == 0:
                    os.setgid(65534)
                    os.setuid(65534)
                label_files(shared)
                os._exit(1)
            except PermissionError:
                os._exit(0)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        secret.chmod(0o700)
        shutil.rmtree(shared)


@pytest.mark.parametrize("make", [fifo, folder, gigabytes, device, deep])
@pytest.mark.parametrize(
    "name",
    ["config.json", "generation_config.json", "preprocessor_config.json", "tokenizer.json"],
)
def test_a_checkpoints_file_that_cannot_be_read_is_named(
    name: str, make: Callable[[Path], None], tmp_path: Path
) -> None:
    checkpoint = copy_of_shapes(tmp_path)
    (checkpoint / name).unlink()
    make(checkpoint / name)
    signal.alarm(30)
    result = command("models", checkpoint)
    assert (result.code, len(result.err.splitlines())) == (1, 1), result.err
    assert f"can't read {name}: it " in result.err


def test_a_number_that_no_box_can_hold_is_refused(images: Path, tmp_path: Path) -> None:
    regions = {
        "images": [{"id": 1, "file_name": "1.png"}],
        "annotations": [{"image_id": 1, "bbox": [10**400, 0, 1, 1]}],
    }
    (tmp_path / "regions.json").write_text(json.dumps(regions))
    options = ("--task", "region-to-category", "--regions", tmp_path / "regions.json")
    result = annotate(images, tmp_path / "out", *options)
    assert (result.code, len(result.err.splitlines())) == (2, 1)
    assert "can't read the regions" in result.err


@pytest.mark.parametrize("is_begun", [False, True])
def test_a_journal_that_is_a_folder_is_refused_before_a_model_is_loaded(
    is_begun: bool, images: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    if is_begun:
        assert annotate(images, out).code == 0
        (out / "job.db").unlink()
    (out / "job.db").mkdir(parents=True)
    result = annotate(images, out)
    assert (result.code, len(result.err.splitlines())) == (2, 1), result.err
    assert "holds other files and no job" in result.err
    for name in ("resume", "export", "status", "failures", "stats", "explain"):
        result = command(name, out, *(["a.png"] if name == "explain" else []))
        assert (result.code, len(result.err.splitlines())) == (1, 1)
        assert "holds no job" in result.err


@pytest.mark.parametrize("name", ["job.lock", "summary.json", "summary.json.part"])
def test_a_folder_where_a_file_of_a_job_goes_is_named_in_one_line(
    name: str, images: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert annotate(images, out).code == 0
    (out / name).unlink(missing_ok=True)
    (out / name).mkdir()
    result = command("export", out)
    assert (result.code, len(result.err.splitlines())) == (1, 1), result.err
    assert result.err.startswith(f"error: can't write {out / name}: Is a directory")
    (out / name).rmdir()
    assert command("export", out).code == 0
