"""Which split an image belongs to."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from florence_annotate.dataset.splits import RULE, SplitRule, splitter

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


def test_a_rule_that_an_older_version_stored_is_the_same_where_it_says_the_same() -> None:
    rule = SplitRule(SHARES, 3, is_by_content=True)
    stored = rule.to_json()
    for missing in ("by", "is_by_content", "lists", "tops"):
        older = {name: value for name, value in stored.items() if name != missing}
        assert not rule.is_other_than({RULE: older})
    assert not rule.is_other_than({RULE: stored | {"of a later version": 1}})
    assert not rule.is_other_than({"split": SHARES, "seed": 3})
    assert not rule.is_other_than(None)


@pytest.mark.parametrize(
    "changed",
    [
        {"shares": {"train": 1.0}},
        {"seed": 4},
        {"by": "folder"},
        {"is_by_content": False},
        {"lists": {"val": ["a"]}},
        {"tops": [""]},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_another_rule_is_told_from_the_stored_one(changed: dict[str, Any]) -> None:
    rule = SplitRule(SHARES, 3, is_by_content=True)
    other = replace(rule, **changed)
    assert other.is_other_than({RULE: rule.to_json()})
    if "is_by_content" not in changed:  # a job never changes that
        assert other.is_other_than({"split": SHARES, "seed": 3})
