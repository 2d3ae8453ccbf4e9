import os
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest

from florence_annotate.errors import SourceError, UsageError
from florence_annotate.images.keys import printable
from florence_annotate.images.sources import Sources

SUFFIXES = frozenset({".jpg", ".png"})


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def keys(*named: object, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> list[str]:
    sources = Sources([str(name) for name in named], SUFFIXES, include, exclude)
    return [ref.key for ref in sources]


def test_a_folder_is_walked_in_byte_order(tmp_path: Path) -> None:
    make(tmp_path, "b.jpg", "a/2.PNG", "a/10.jpg", "a/deep/x.jpg", "c.txt", "B.jpg")
    assert keys(tmp_path) == ["B.jpg", "b.jpg", "a/10.jpg", "a/2.PNG", "a/deep/x.jpg"]


def test_a_ref_knows_path_size_and_time(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg")
    (ref,) = Sources([str(tmp_path)], SUFFIXES)
    assert ref.path == os.fsencode(tmp_path / "a.jpg")
    assert ref.size_bytes == 1
    assert ref.mtime_ns == (tmp_path / "a.jpg").stat().st_mtime_ns


def test_several_sources_begin_with_their_names_made_unique(tmp_path: Path) -> None:
    make(tmp_path, "x/in/1.jpg", "y/in/1.jpg", "z/1.jpg")
    assert keys(tmp_path / "x/in", tmp_path / "y/in", tmp_path / "z") == [
        "in/1.jpg", "in-2/1.jpg", "z/1.jpg",
    ]  # fmt: skip


def test_files_of_one_folder_share_a_root(tmp_path: Path) -> None:
    make(tmp_path, "1.jpg", "2.jpg", "3.jpg")
    assert keys(tmp_path / "2.jpg", tmp_path / "1.jpg", tmp_path / "2.jpg") == ["2.jpg", "1.jpg"]


def test_a_pattern_is_expanded_under_its_fixed_part(tmp_path: Path) -> None:
    make(tmp_path, "a/1.jpg", "b/1.jpg", "b/2.png")
    assert keys(f"{tmp_path}/*/*.jpg") == ["a/1.jpg", "b/1.jpg"]
    assert keys(f"{tmp_path}/**/*.png") == ["b/2.png"]


def test_a_pattern_takes_images_before_other_files(tmp_path: Path) -> None:
    make(tmp_path, "1.jpg", "notes.txt", "2.dat")
    assert keys(f"{tmp_path}/*") == ["1.jpg"]
    assert keys(f"{tmp_path}/*.dat") == ["2.dat"]


def test_a_pattern_of_folders_walks_them(tmp_path: Path) -> None:
    make(tmp_path, "day1/1.jpg", "day2/1.jpg", "night/1.jpg")
    assert keys(f"{tmp_path}/day*") == ["day1/1.jpg", "day2/1.jpg"]


def test_the_output_is_left_out_of_patterns_and_links(tmp_path: Path) -> None:
    make(tmp_path, "1.jpg", "out/images/2.jpg", "in/3.jpg")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "out")
    sources = Sources([f"{tmp_path}/**/*.jpg"], SUFFIXES, output=tmp_path / "out")
    assert [ref.key for ref in sources] == ["1.jpg", "in/3.jpg"]
    walked = Sources([str(tmp_path / "in")], SUFFIXES, output=tmp_path / "out")
    assert [ref.key for ref in walked] == ["3.jpg"]
    assert [s.reason for s in walked.skipped] == ["it is the output"]


def test_brackets_in_a_folders_name_are_no_pattern(tmp_path: Path) -> None:
    make(tmp_path, "[a] b/1.jpg")
    assert keys(f"{tmp_path}/[[]a] b/*.jpg") == ["1.jpg"]


def test_a_folder_that_is_given_twice_is_walked_once(tmp_path: Path) -> None:
    make(tmp_path, "in/1.jpg")
    assert keys(tmp_path / "in", f"{tmp_path}/in/") == ["1.jpg"]


def test_a_list_is_read_as_the_users_own(tmp_path: Path) -> None:
    make(tmp_path, "lists/1.jpg", "other/2.jpg", "3.bin")
    (tmp_path / "lists" / "all.txt").write_text(
        f"# a comment\n1.jpg\n../other/2.jpg\n\n{tmp_path}/3.bin\n1.jpg\n"
    )
    below = str(tmp_path).lstrip("/")
    assert keys(f"@{tmp_path}/lists/all.txt") == [
        "1.jpg", f"{below}/other/2.jpg", f"{below}/3.bin",
    ]  # fmt: skip


def test_a_file_of_a_list_that_is_gone_is_skipped_by_name(tmp_path: Path) -> None:
    make(tmp_path, "1.jpg")
    (tmp_path / "all.txt").write_text("1.jpg\n2.jpg\n")
    sources = Sources([f"@{tmp_path}/all.txt"], SUFFIXES)
    assert [ref.key for ref in sources] == ["1.jpg"]
    assert [(Path(s.name).name, s.reason) for s in sources.skipped] == [
        ("2.jpg", "No such file or directory")
    ]


@pytest.mark.parametrize(
    ("source", "error"),
    [("nowhere", SourceError), ("no*thing", SourceError), ("@nolist", SourceError)],
)
def test_a_source_that_is_not_there_is_refused(
    tmp_path: Path, source: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        Sources([source.replace("n", f"{tmp_path}/n", 1)], SUFFIXES)


def test_an_empty_list_is_refused(tmp_path: Path) -> None:
    (tmp_path / "all.txt").write_text("# nothing\n")
    with pytest.raises(UsageError, match="names no file"):
        Sources([f"@{tmp_path}/all.txt"], SUFFIXES)


def test_include_and_exclude_match_names_and_paths(tmp_path: Path) -> None:
    make(tmp_path, "day/1.jpg", "day/2.png", "night/1.jpg")
    assert keys(tmp_path, include=["*.jpg"]) == ["day/1.jpg", "night/1.jpg"]
    assert keys(tmp_path, include=["day/*"], exclude=["2.*"]) == ["day/1.jpg"]


def test_links_are_images_of_their_own_and_loops_end(tmp_path: Path) -> None:
    make(tmp_path, "real/1.jpg")
    (tmp_path / "link.jpg").symlink_to("real/1.jpg")
    (tmp_path / "a-loop").symlink_to(".")
    (tmp_path / "real" / "up").symlink_to("..")
    (tmp_path / "self.jpg").symlink_to("self.jpg")
    sources = Sources([str(tmp_path)], SUFFIXES)
    assert [ref.key for ref in sources] == ["link.jpg", "real/1.jpg"]
    assert [Path(s.name).name for s in sources.skipped] == ["self.jpg"]


def test_a_linked_folder_outside_is_followed(tmp_path: Path) -> None:
    make(tmp_path, "elsewhere/1.jpg", "in/0.jpg")
    (tmp_path / "in" / "more").symlink_to(tmp_path / "elsewhere")
    assert keys(tmp_path / "in") == ["0.jpg", "more/1.jpg"]


def test_what_only_looks_like_an_image_is_skipped_with_a_reason(tmp_path: Path) -> None:
    make(tmp_path, "1.jpg", ".hidden.jpg", "folder.jpg/2.jpg")
    (tmp_path / "broken.jpg").symlink_to("nowhere.jpg")
    os.mkfifo(tmp_path / "fifo.jpg")
    (tmp_path / "null.jpg").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as bound:
        here = Path.cwd()
        os.chdir(tmp_path)  # a socket's path is short
        try:
            bound.bind("socket.jpg")
        finally:
            os.chdir(here)
        sources = Sources([str(tmp_path)], SUFFIXES)
        assert [ref.key for ref in sources] == ["1.jpg", "folder.jpg/2.jpg"]
    assert {Path(s.name).name: s.reason for s in sources.skipped} == {
        ".hidden.jpg": "hidden",
        "broken.jpg": "link that leads nowhere",
        "fifo.jpg": "no regular file but a fifo",
        "null.jpg": "no regular file but a device",
        "socket.jpg": "no regular file but a socket",
    }


def test_names_become_printable_and_stay_different(tmp_path: Path) -> None:
    names = [b"new\nline.jpg", b"\xff.jpg", b"\\xff.jpg", b"-dash.jpg", "é 😀'\".jpg".encode()]
    for name in names:
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
            file.write(b"x")
    found = {ref.key: ref.path for ref in Sources([str(tmp_path)], SUFFIXES)}
    assert set(found) == {
        "new\\u000aline.jpg", "\\xff.jpg", "\\\\xff.jpg", "-dash.jpg", "é 😀'\".jpg",
    }  # fmt: skip
    assert os.path.basename(found["\\xff.jpg"]) == b"\xff.jpg"
    assert all(key.isprintable() for key in found)


def test_printable_keeps_ordinary_names() -> None:
    assert printable("übergrößen/1 (2).jpg".encode()) == "übergrößen/1 (2).jpg"


def test_a_folder_in_another_one_is_told(tmp_path: Path) -> None:
    make(tmp_path, "in/1.jpg", "in/sub/2.jpg", "in-2/3.jpg", "in/other/4.jpg", "z/5.jpg")
    named = ("z", "in/sub", "in-2", "in", "in/other")
    told = list(Sources([f"{tmp_path}/{name}" for name in named], SUFFIXES).nested())
    assert len(told) == 2 and all("taken twice" in line for line in told)
    for inner, line in zip(("other", "sub"), told, strict=True):
        assert f"{tmp_path}/in/{inner} lies in {tmp_path}/in, " in line


def test_a_pattern_that_matches_no_image_is_known(tmp_path: Path) -> None:
    make(tmp_path, "1.jpg", "sub/2.jpg", "day/3.jpg")
    sources = Sources([str(tmp_path)], SUFFIXES, exclude=("sub", "day/*", "[", "1.*"))
    assert [ref.key for ref in sources] == ["sub/2.jpg"]
    assert sources.unmatched == ["[", "sub"]
