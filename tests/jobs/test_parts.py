"""What jobs that are to be merged were given, as one job has it."""

from pathlib import Path

import pytest

from florence_annotate.errors import JobError
from florence_annotate.images.shards import Shard
from florence_annotate.jobs.parts import Part, Sources, refuse_missing_shards
from florence_annotate.types import ImageRef, Root


def part(
    name: str,
    *roots: tuple[Path, str],
    shard: tuple[int, int] | None = None,
    include: tuple[str, ...] = (),
    exclude: tuple[str, ...] = (),
) -> Part:
    """One whose sources are its roots; those that are to be there are made."""
    return Part(
        Path(name),
        shard and Shard(*shard),
        [Root(bytes(folder), True, prefix) for folder, prefix in roots],
        [str(folder) for folder, _ in roots],
        include,
        exclude,
        pending=0,
    )


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


def test_sources_are_joined_in_their_order(here: Path, tmp_path: Path) -> None:
    one, more = part("1", (here, "")), part("2", (here, ""), (tmp_path, "more/"))
    found = Sources.of([one, more])
    assert found.named == [str(here), str(tmp_path)]
    assert [root.prefix for root in found.roots] == ["", "more/"]
    assert not found.moved


def test_patterns_take_all_that_any_of_them_takes(here: Path) -> None:
    def joined(*pairs: tuple[tuple[str, ...], tuple[str, ...]]) -> tuple[list[str], list[str]]:
        found = Sources.of(
            [part("x", (here, ""), include=include, exclude=exclude) for include, exclude in pairs]
        )
        return found.include, found.exclude

    assert joined((("a/*",), ("x",)), (("b/*",), ("x", "y"))) == (["a/*", "b/*"], ["x"])
    assert joined((("a/*",), ("x",)), ((), ())) == ([], [])


def test_a_source_that_lay_elsewhere_is_where_it_is(here: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    found = Sources.of([part("1", (gone, ""), shard=(1, 2)), part("2", (here, ""), shard=(2, 2))])
    assert found.named == [str(here)] and [root.folder for root in found.roots] == [bytes(here)]
    moved = found.moved[Path("1")]
    assert found.moved.keys() == {Path("1")}
    seen = ImageRef("a/b.png", bytes(gone / "a" / "b.png"), 1, 2)
    assert moved(seen).path == bytes(here / "a" / "b.png")


def test_of_several_sources_those_that_are_there_stay(here: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    one = part("1", (here, ""), (gone, "more/"), shard=(1, 2))
    other = part("2", (here, ""), (tmp_path, "more/"), shard=(2, 2))
    moved = Sources.of([one, other]).moved[Path("1")]
    stays = ImageRef("b.png", bytes(here / "b.png"), 1, 2)
    assert moved(stays) == stays
    seen = ImageRef("more/b.png", bytes(gone / "b.png"), 1, 2)
    assert moved(seen).path == bytes(tmp_path / "b.png")


def test_one_folder_under_two_paths_is_one(here: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(here)
    found = Sources.of([part("1", (here, "")), part("2", (tmp_path / "link", ""))])
    assert [root.folder for root in found.roots] == [bytes(here)]


@pytest.mark.parametrize(
    "shards", [((1, 2), (2, 2)), (None, None), ((1, 2), (2, 3)), ((1, 2), None)]
)
def test_two_sources_with_the_same_keys_are_refused(
    here: Path, tmp_path: Path, shards: tuple[tuple[int, int] | None, tuple[int, int] | None]
) -> None:
    other = tmp_path / "other"
    if shards == ((1, 2), (2, 2)):
        other.mkdir()  # where both are there they are two, also of siblings
    parts = [part("1", (here, ""), shard=shards[0]), part("2", (other, ""), shard=shards[1])]
    with pytest.raises(JobError, match=r"1 counts its images from .*, and 2 from .*/other"):
        Sources.of(parts)


def test_a_source_with_two_prefixes_is_refused(here: Path, tmp_path: Path) -> None:
    one, other = part("1", (here, "")), part("2", (here, "here/"), (tmp_path, "more/"))
    with pytest.raises(JobError, match="keys that begin with '' in 1, and with 'here/' in 2"):
        Sources.of([one, other])


def test_shards_that_are_missing_are_named() -> None:
    def named(count: int, *indices: int) -> list[Part]:
        return [part(str(index), shard=(index, count)) for index in indices]

    refuse_missing_shards([*named(3, 3, 1, 2), *named(1, 1), part("whole")])
    with pytest.raises(JobError, match=r"of 4 shards 1 is not named: 3/4\. "):
        refuse_missing_shards(named(4, 1, 2, 4, 4))
    with pytest.raises(
        JobError, match=r"of 900000000 shards 899999999 are .* 2/900000000, .* more"
    ):
        refuse_missing_shards(named(900_000_000, 1))
