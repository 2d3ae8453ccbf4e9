"""Which image is which, and which class."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from florence_annotate.classes import ClassList, ClassSpec
from florence_annotate.errors import UsageError
from florence_annotate.evaluation.classes_on_both_sides import pair_classes
from florence_annotate.evaluation.pairing import JobImage, pair
from florence_annotate.labels.given import GivenImage, GivenLabels

NO_KEYS: Mapping[str, str] = {}


def truth(*names: str, has_suffixes: bool = True, keys: Mapping[str, str] = NO_KEYS) -> GivenLabels:
    images = tuple(GivenImage(name, (), key=keys.get(name)) for name in names)
    return GivenLabels(Path("truth"), images, ("a",), has_suffixes)


class TestImages:
    @pytest.mark.parametrize(
        ("name", "has_suffixes"),
        [
            *(("night/1.jpg", True), ("1.jpg", True), ("/data/set/night/1.jpg", True)),
            *(("val2017/night/1.jpg", True), ("night\\1.jpg", True), ("./night/1.jpg", True)),
            *(("train/night/1-0123", False), ("night/1", False), ("1", False)),
            *(("images/train/night/1-0123.jpg", True), ("train/night/1", False)),
        ],
    )
    def test_an_image_by_any_of_its_names(self, name: str, has_suffixes: bool) -> None:
        image = JobImage("night/1.jpg", "night/1-0123.jpg", "train")
        pairs = pair([image, JobImage("2.jpg")], truth(name, has_suffixes=has_suffixes))
        assert pairs.truth_of.keys() == {"night/1.jpg"}
        assert pairs.only_job == ["2.jpg"] and not pairs.only_truth

    def test_the_key_counts_before_the_export_name_and_that_before_the_end(self) -> None:
        images = [JobImage("a/1.jpg", "b/1.jpg", "train"), JobImage("b/1.jpg", "c/1.jpg", "train")]
        pairs = pair(images, truth("b/1.jpg", "x/a/1.jpg"))
        assert {key: image.name for key, image in pairs.truth_of.items()} == {
            "b/1.jpg": "b/1.jpg",
            "a/1.jpg": "x/a/1.jpg",
        }

    def test_an_exported_file_says_the_key_itself(self) -> None:
        images = [JobImage("a b.gif"), JobImage("a_b.png")]
        pairs = pair(images, truth("a_b.png", keys={"a_b.png": "a b.gif"}))
        assert pairs.truth_of.keys() == {"a b.gif"}
        pairs = pair(images, truth("a_b.png", keys={"a_b.png": "of another job.gif"}))
        assert pairs.truth_of.keys() == {"a_b.png"}

    def test_a_name_that_several_have_decides_nothing(self) -> None:
        images = [JobImage("a/1.jpg"), JobImage("b/1.jpg"), JobImage("2.jpg")]
        pairs = pair(images, truth("c/1.jpg", "2.jpg", "d/2.jpg", "d/2.jpg"))
        assert pairs.truth_of.keys() == {"2.jpg"}
        assert pairs.only_job == ["a/1.jpg", "b/1.jpg"]
        assert pairs.only_truth == ["c/1.jpg", "d/2.jpg", "d/2.jpg"]
        stems = pair([JobImage("1.jpg"), JobImage("1.png"), JobImage("2.png")],
                     truth("1", "2", has_suffixes=False))  # fmt: skip
        assert stems.truth_of.keys() == {"2.png"}

    def test_no_image_in_both_is_refused_with_names_of_both(self) -> None:
        with pytest.raises(UsageError, match=r"its names are x.jpg, those of the job 1.jpg"):
            pair([JobImage("1.jpg")], truth("x.jpg"))


class TestClasses:
    def test_spelling_synonyms_and_plurals(self) -> None:
        listed = ClassList([ClassSpec("Traffic Light"), ClassSpec("car", ("auto",))])
        pairs = pair_classes(listed.names, listed, ["traffic_light", "autos", "dog", "sedan"])
        assert pairs.names == ("Traffic Light", "car")
        assert pairs.of_truth == {"traffic_light": 0, "autos": 1, "sedan": 1}
        assert pairs.other_names == {"autos": "car", "sedan": "car"}
        assert pairs.only_truth == ("dog",) and not pairs.only_dataset and not pairs.never_said

    def test_where_every_label_is_a_class_one_that_is_never_said_is_missed(self) -> None:
        pairs = pair_classes(["cat", "dog", "Cat"], None, ["bird", "cat"])
        assert pairs.names == ("cat", "bird")
        assert pairs.of_dataset == {0: 0, 2: 0}
        assert pairs.never_said == ("bird",) and not pairs.only_truth
        assert pairs.only_dataset == ("dog",)

    def test_no_class_in_both_is_refused(self) -> None:
        with pytest.raises(UsageError, match="the ground truth has bird, the dataset cat"):
            pair_classes(["cat"], None, ["bird"])
