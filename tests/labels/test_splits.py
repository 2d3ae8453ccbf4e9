"""Folders that are named as splits; lists of splits are in tests/formats/test_assigning.py."""

import pytest

from florence_annotate.labels.splits import find_tops, split_of_folder


@pytest.mark.parametrize(
    ("keys", "prefixes", "tops"),
    [
        (["train/1.jpg", "val/1.jpg"], [""], [""]),
        (["Train/a/1.jpg", "VALIDATION/1.jpg", "x.jpg"], [""], [""]),
        (["train/1.jpg", "test/1.jpg"], ["train/", "test/"], [""]),  # each a source
        (["a/train/1.jpg", "a/valid/1.jpg", "b/train/1.jpg"], ["a/", "b/"], ["a/"]),
        (["train/1.jpg", "val/1.jpg", "b/train/1.jpg", "b/test/1.jpg"], ["", "b/"], ["", "b/"]),
        (["a/train/1.jpg", "b/val/1.jpg"], ["a/", "b/"], []),
        (["a/train/1.jpg", "a/valid/1.jpg"], [""], []),  # not at the top
        (["train/1.jpg"], [""], []),
        (["val/1.jpg", "test/1.jpg"], [""], []),
        (["train/1.jpg", "valley/1.jpg", "test"], [""], []),
    ],
)
def test_train_and_another_split_have_a_folder_at_the_top(
    keys: list[str], prefixes: list[str], tops: list[str]
) -> None:
    assert find_tops(keys, prefixes) == tops


def test_the_folder_at_the_top_says_the_split() -> None:
    assert split_of_folder("valid/test/1.jpg", [""]) == "val"
    assert split_of_folder("more/train/1.jpg", [""]) is None
    assert split_of_folder("b/Test/1.jpg", ["a/", "b/"]) == "test"
    assert split_of_folder("train/1.jpg", ["a/"]) is None
    assert split_of_folder("test", [""]) is None
