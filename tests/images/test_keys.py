import pytest

from florence_annotate.images.keys import key_of, path_of, printable, unique


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
