"""Which names look like images."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from florence_annotate.images.roots import has_suffix

SUFFIXES = frozenset({".jpg", ".png"})


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        (b"a.jpg", True),
        (b"a.tar.JPG", True),
        (b".a.png", True),
        (b"\xff.png", True),
        (b"a.", False),
        (b"a", False),
        (b"", False),
        (b".jpg", False),
        (b"..jpg", False),
        (b"a.jpg~", False),
        (b"a.\xffjpg", False),
    ],
)
def test_a_name_looks_like_an_image_by_its_last_suffix(name: bytes, is_one: bool) -> None:
    assert has_suffix(name, SUFFIXES) is is_one


@given(st.lists(st.sampled_from([b".", b"a", b".jpg", b".PNG", b"\xff"]), max_size=6).map(b"".join))
def test_suffixes_are_those_of_the_library(name: bytes) -> None:
    suffix = os.path.splitext(name)[1].lower().decode("ascii", "replace")
    assert has_suffix(name, SUFFIXES) is (suffix in SUFFIXES)
