import os
import subprocess

import pytest

from florence_annotate.images.keys import in_shell, key_of, path_of, printable, unique


def test_printable_keeps_ordinary_names() -> None:
    assert printable("übergrößen/1 (2).jpg".encode()) == "übergrößen/1 (2).jpg"


def test_a_folder_that_bears_the_name_of_another_source_is_told_from_it() -> None:
    prefixes = {"", "b/"}
    assert key_of(b"/a/b/1.jpg", b"/a", "", prefixes) == "b\\-/1.jpg"
    assert key_of(b"/b/1.jpg", b"/b", "b/", prefixes) == "b/1.jpg"
    # what is named as the mark is spelled has its backslash doubled
    assert key_of(b"/a/b\\-/1.jpg", b"/a", "", prefixes) == "b\\\\-/1.jpg"
    assert key_of(b"/a/b", b"/a", "", prefixes) == "b"


@pytest.mark.parametrize(
    ("path", "prefix"),
    [(b"/a/1.jpg", ""), (b"/a/b/1.jpg", ""), (b"/a/x/new\nline\xff.jpg", "a/"), (b"/c/1.jpg", "")],
)
def test_a_key_leads_to_where_the_image_would_lie_now(path: bytes, prefix: str) -> None:
    key = key_of(path, b"/a", prefix, {"", "b/"})
    now = path.replace(b"/a/", b"/moved/to/") if path.startswith(b"/a/") else path
    assert path_of(key, path, b"/moved/to", prefix) == now


def test_a_number_before_the_ending_makes_a_name_unique() -> None:
    assert unique("1.jpg", {"1.jpg", "1-2.jpg"}.__contains__) == "1-3.jpg"
    assert unique("in", {"on"}.__contains__) == "in"


@pytest.mark.parametrize(
    "name",
    [b"a/b.jpg", b"it's $(mine) *.jpg", b"new\nline'\\.jpg", b"\x1b[31m7\xff7.jpg", "ü".encode()],
)
def test_a_name_in_a_command_is_printable_and_means_the_same_to_a_shell(name: bytes) -> None:
    word = in_shell(os.fsdecode(name))
    assert word.isprintable()
    assert subprocess.check_output(["bash", "-c", f"printf %s {word}"]) == name


def test_an_ordinary_name_in_a_command_stays_as_it_is() -> None:
    assert in_shell("in/übergrößen.jpg") == "'in/übergrößen.jpg'"
    assert in_shell("in/a.jpg") == "in/a.jpg"
