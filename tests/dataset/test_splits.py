"""Which split an image belongs to."""

from collections import Counter

import pytest

from florence_annotate.dataset.splits import splitter

SHARES = {"train": 0.7, "val": 0.2, "test": 0.1}
KEYS = [f"folder/{number}.jpg" for number in range(3000)]


def test_the_shares_are_met() -> None:
    counts = Counter(map(splitter(SHARES, 0), KEYS))
    for name, share in SHARES.items():
        assert counts[name] / len(KEYS) == pytest.approx(share, abs=0.03)


def test_a_key_alone_decides_with_the_seed() -> None:
    split_of, again, other = splitter(SHARES, 0), splitter(SHARES, 0), splitter(SHARES, 1)
    assert [split_of(key) for key in KEYS] == [again(key) for key in reversed(KEYS)][::-1]
    assert [split_of(key) for key in KEYS] != [other(key) for key in KEYS]


def test_splits_stay_as_they_always_were() -> None:
    split_of = splitter({"train": 0.5, "val": 0.3, "test": 0.2}, 0)
    found = "".join(split_of(f"{number}.jpg")[:2] for number in range(16))
    assert found == "trtrtrtrtrvavatrtrtrtrtetevavatr"


def test_shares_that_fall_short_of_the_whole_go_to_the_first() -> None:
    assert {splitter({"train": 1e-9, "val": 1e-9}, 0)(key) for key in KEYS} == {"train"}
