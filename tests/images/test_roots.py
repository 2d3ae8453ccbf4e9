import os
from collections.abc import Callable
from pathlib import Path

from florence_annotate.images import roots
from florence_annotate.types import Root

SUFFIXES = frozenset({".jpg"})


def settle(
    *sources: Path,
    known: list[Root] | None = None,
    is_taken: Callable[[str], bool] = lambda name: False,
) -> list[Root]:
    known = known or []
    given = roots.resolve(map(str, sources), SUFFIXES, lambda match, base: False, known)
    return roots.settle(given, known, is_taken)


def make(tmp_path: Path, *names: str) -> list[Path]:
    folders = [tmp_path / name for name in names]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "1.jpg").touch()
    return folders


def root(folder: Path, prefix: str, *, is_walked: bool = True) -> Root:
    return Root(os.fsencode(folder), is_walked, prefix)


def test_a_single_folder_has_no_prefix_and_several_have_their_names(tmp_path: Path) -> None:
    a, b, c = make(tmp_path, "x/in", "y/in", "z")
    assert settle(a) == [root(a, "")]
    assert settle(a, b, c) == [root(a, "in/"), root(b, "in-2/"), root(c, "z/")]


def test_a_folder_and_an_image_of_it_have_one_prefix(tmp_path: Path) -> None:
    (a,) = make(tmp_path, "a")
    expected = [root(a, ""), root(a, "", is_walked=False)]
    assert settle(a, a / "1.jpg") == expected
    assert settle(a / "1.jpg", known=[root(a, "")]) == expected


def test_a_known_folder_keeps_its_prefix_in_whatever_order_it_is_given(tmp_path: Path) -> None:
    a, b = make(tmp_path, "a", "b")
    known = [root(a, "")]
    both = [root(a, ""), root(b, "b/")]
    assert settle(b, a, known=known) == both
    assert settle(b, known=both) == both


def test_a_new_prefix_is_none_that_keys_or_entries_of_other_folders_begin_with(
    tmp_path: Path,
) -> None:
    a, _, b = make(tmp_path, "a", "a/b-2", "b")
    settled = settle(a, b, known=[root(a, "")], is_taken=lambda name: name == "b")
    assert settled == [root(a, ""), root(b, "b-3/")]


def test_the_only_folder_hands_its_prefix_to_the_only_other(tmp_path: Path) -> None:
    a, b, c = make(tmp_path, "a", "b", "c")
    assert settle(b, known=[root(a, "")]) == [root(b, "")]
    assert settle(b, c, known=[root(a, "")]) == [root(a, ""), root(b, "b/"), root(c, "c/")]


def test_a_folder_is_known_by_any_spelling_and_where_it_is_a_link_by_now(tmp_path: Path) -> None:
    a, b = make(tmp_path, "a", "b")
    known = [root(a, "a/"), root(b, "b/")]
    (tmp_path / "link").symlink_to(b)
    assert settle(tmp_path / "link", tmp_path / "b" / ".." / "a", known=known) == known
    b.rename(tmp_path / "moved")
    b.symlink_to(tmp_path / "moved")
    assert settle(b, known=known) == known
    assert settle(tmp_path / "moved", known=known) == known
    (tmp_path / "moved").rename(tmp_path / "gone")
    assert settle(b, known=known) == known


def test_the_roots_of_an_earlier_run_are_found_also_where_sources_are_gone(tmp_path: Path) -> None:
    (a,) = make(tmp_path, "in")

    def earlier(*sources: object) -> list[Root]:
        return roots.of_earlier(map(str, sources), SUFFIXES, lambda match, base: False)

    gone = tmp_path / "gone"
    assert earlier(gone) == [root(gone, "")]
    assert earlier(a, gone, f"{gone}/*.jpg", f"@{gone}/all.txt", gone / "1.jpg") == [
        root(a, "in/"), root(gone, "gone/"), root(gone, "gone-2/", is_walked=False),
    ]  # fmt: skip
    assert earlier(a, a / "1.jpg") == [root(a, "in/"), root(a, "in-2/", is_walked=False)]
