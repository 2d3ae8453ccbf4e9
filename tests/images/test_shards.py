"""Parts of a job's images, by a hash of their keys."""

from collections import Counter
from pathlib import Path

import pytest
from written_answers import picture

from florence_annotate.images import codec
from florence_annotate.images.shards import Shard
from florence_annotate.images.sources import Sources

KEYS = [f"night/{number:05}.jpg" for number in range(4000)]


def test_every_key_is_in_one_shard_and_they_are_about_equal() -> None:
    shards = [Shard(index, 8) for index in range(1, 9)]
    found = Counter(str(shard) for key in KEYS for shard in shards if shard.holds(key))
    assert found.total() == len(KEYS)
    assert max(found.values()) < 1.15 * min(found.values())


def test_which_shard_holds_a_key_never_changes() -> None:
    """Older outputs are merged with newer ones: these were worked out with sha256sum and bc."""
    expected = {"a.jpg": "3/8", "night/00001.jpg": "2/8", "Straße/größer.png": "8/8"}
    for key, named in expected.items():
        holding = [str(each) for each in (Shard(i, 8) for i in range(1, 9)) if each.holds(key)]
        assert holding == [named], key


@pytest.mark.parametrize("text", ["1/1", "8/8", "12/500"])
def test_a_shard_is_written_as_it_is_read(text: str) -> None:
    assert str(Shard.parse(text)) == text


def test_a_padded_number_is_the_same_shard() -> None:
    assert Shard.parse("03/08") == Shard(3, 8)


@pytest.mark.parametrize(
    "text", ["", "1", "0/4", "5/4", "1/0", "-1/4", "1/4/2", "a/b", "1 / 4", "1/4\n", "1.0/4", "١/٤"]
)
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="as in 1/8 to 8/8"):
        Shard.parse(text)


def test_the_sources_of_all_shards_are_those_of_the_whole(tmp_path: Path) -> None:
    for name in ("a/1.png", "a/2.png", "b/1.png", "3.png"):
        picture(tmp_path / name)
    whole = [ref.key for ref in Sources((str(tmp_path),), codec.SUFFIXES)]
    shards = [
        [ref.key for ref in Sources((str(tmp_path),), codec.SUFFIXES, shard=Shard(i, 3))]
        for i in (1, 2, 3)
    ]
    assert sorted(key for shard in shards for key in shard) == sorted(whole)
    assert all(keys == [key for key in whole if key in keys] for keys in shards)
