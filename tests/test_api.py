from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import annotate as run
from PIL import Image
from pycocotools.coco import COCO

import florence_annotate
from florence_annotate.dataset.annotated_image import AnnotatedImage
from florence_annotate.errors import JobError, UsageError
from florence_annotate.types import Failure


def test_paths_images_and_arrays_give_the_same_instances(scenes: Path) -> None:
    paths = sorted(scenes.glob("*.jpg"))[:3]
    opened = [Image.open(path).convert("RGB") for path in paths]
    arrays = [np.asarray(image) for image in opened]
    by_kind = [
        [image.instances for image in florence_annotate.annotate(kind, model="shapes")]  # type: ignore[union-attr]
        for kind in (paths, opened, arrays)
    ]
    assert by_kind[0] == by_kind[1] == by_kind[2]
    assert any(by_kind[0])


def test_the_api_says_what_the_command_says(scenes: Path, dataset: Path) -> None:
    from_job = {Path(i.ref.key).name: i for i in florence_annotate.open_dataset(dataset)}
    names = florence_annotate.open_dataset(dataset).class_names
    for image in florence_annotate.annotate(
        sorted(scenes.glob("*.jpg")), classes=names, strategy="od", model="shapes"
    ):
        assert isinstance(image, AnnotatedImage)
        wanted = from_job[Path(image.ref.key).name]
        assert [(i.label, i.box, i.class_id) for i in image.instances] == [
            (i.label, i.box, i.class_id) for i in wanted.instances
        ]
        assert image.class_names == names
        assert len(image.to_supervision()) == len(image.instances)


def test_how_answers_are_written_is_chosen_as_in_the_command(scenes: Path) -> None:
    files = sorted(scenes.glob("*.jpg"))[:3]
    short = florence_annotate.annotate(
        files, model="shapes", max_new_tokens=3, no_repeat_ngram="own", num_beams=2
    )
    # one box takes five tokens, and an answer goes on once, to twice the limit
    assert all(isinstance(i, AnnotatedImage) and len(i.instances) <= 1 for i in short)
    with pytest.raises(UsageError, match="or own"):
        next(florence_annotate.annotate(files, model="shapes", no_repeat_ngram=-1))


def test_what_cannot_be_read_comes_as_a_failure_in_its_place(tmp_path: Path, scenes: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"x")
    good = next(scenes.glob("*.jpg"))
    pictures = [tmp_path / "bad.jpg", good, tmp_path / "gone.jpg", np.zeros((2, 2)), good]
    outcomes = list(florence_annotate.annotate(pictures, model="shapes", batch_size=2, threads=2))
    kinds = [outcome.kind if isinstance(outcome, Failure) else "ok" for outcome in outcomes]
    assert kinds == ["not-an-image", "ok", "missing", "not-an-image", "ok"]


def test_opened_pictures_are_turned_and_broken_ones_are_failures(
    tmp_path: Path, scenes: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (60, 40)).save(tmp_path / "turned.png", exif=exif)
    whole = next(scenes.glob("*.jpg")).read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    with Image.open(tmp_path / "turned.png") as turned, Image.open(tmp_path / "cut.jpg") as cut:
        upright, broken = florence_annotate.annotate([turned, cut], model="shapes")
    assert isinstance(upright, AnnotatedImage)
    assert (upright.width, upright.height) == (40, 60)
    assert isinstance(broken, Failure)
    assert broken.kind == "truncated"


def test_a_request_that_makes_no_sense_is_refused_at_once() -> None:
    for wrong in (
        {"classes": "cat"},
        {"batch_size": 0},
        {"threads": 0},
        {"dtype": "int8"},
        {"min_score": 5.0},
    ):
        with pytest.raises(UsageError):
            florence_annotate.annotate([], model="shapes", **wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="lists"):
        florence_annotate.annotate("a.jpg", model="shapes")
    with pytest.raises(UsageError, match="strategy"):
        florence_annotate.annotate([], strategy="best", model="shapes")
    with pytest.raises(UsageError, match="twice"):
        florence_annotate.annotate([], classes=["a", "a"], model="shapes")


def test_an_unfinished_job_opens_too(scenes: Path, tmp_path: Path) -> None:
    assert run(scenes, tmp_path / "out", "--limit", 2).code == 0
    dataset = florence_annotate.open_dataset(tmp_path / "out")
    assert len(list(dataset)) == len(list(dataset)) == 2
    assert {dataset.split_of(image.ref.key) for image in dataset} <= {"train", "val"}
    with pytest.raises(JobError, match="no job"):
        florence_annotate.open_dataset(tmp_path)


def test_texts_and_regions_go_with_their_pictures(scenes: Path) -> None:
    paths = sorted(scenes.glob("*.jpg"))[:3]
    truth = COCO(str(scenes / "ground-truth.json"))
    names = {image["file_name"]: image["id"] for image in truth.imgs.values()}
    kinds = [
        {truth.cats[one["category_id"]]["name"] for one in truth.imgToAnns[names[path.name]]}
        for path in paths
    ]
    texts = [f"a {sorted(kinds[0])[0]}", None, f"a {sorted(kinds[2])[-1]}"]
    grounded = []
    asked: dict[str, Any] = {"task": "grounding", "texts": texts}
    for image in florence_annotate.annotate(paths, model="shapes", **asked):
        assert isinstance(image, AnnotatedImage)
        grounded.append({instance.label for instance in image.instances})
    assert grounded == [{sorted(kinds[0])[0]}, set(), {sorted(kinds[2])[-1]}]
    regions = [[(10.0, 10.0, 60.5, 70.0)], [], [(1.0, 2.0, 30.0, 40.0), (5.0, 5.0, 90.0, 90.0)]]
    described = []
    asked = {"task": "region-to-description", "regions": regions}
    for image in florence_annotate.annotate(paths, model="shapes", **asked):
        assert isinstance(image, AnnotatedImage)
        described.append([instance.box for instance in image.instances])
    assert described == regions


def test_regions_may_be_lists_and_are_checked(scenes: Path) -> None:
    path = sorted(scenes.glob("*.jpg"))[0]
    asked: dict[str, Any] = {"model": "shapes", "task": "region-to-category"}
    (image,) = florence_annotate.annotate([path], regions=[np.array([[10, 10, 50, 50]])], **asked)
    assert isinstance(image, AnnotatedImage)
    assert [one.box for one in image.instances] == [(10.0, 10.0, 50.0, 50.0)]
    for mapping in ({"a": "b"}, "ab"):
        with pytest.raises(UsageError, match="texts is a list"):
            florence_annotate.annotate([path, path], texts=mapping, model="shapes")  # type: ignore[arg-type]
    for wrong in ([[(1, 2, 3)]], [[(1, 2, 3, float("nan"))]], [["a"]]):
        with pytest.raises(UsageError, match="regions are boxes"):
            florence_annotate.annotate([path], regions=wrong, **asked)  # type: ignore[arg-type]


def test_texts_that_are_too_few_are_refused(scenes: Path) -> None:
    paths = sorted(scenes.glob("*.jpg"))[:3]
    with pytest.raises(UsageError, match="1 texts for 3 images"):
        florence_annotate.annotate(paths, model="shapes", task="grounding", texts=["a star"])
