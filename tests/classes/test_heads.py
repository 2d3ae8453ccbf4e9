"""The class of a phrase is that of its head."""

import pytest

from florence_annotate.classes import ClassList, ClassSpec, parse_names

KNOWN = parse_names(
    "car,door,person,building,traffic light,dining table,parking meter,chest of drawers,dog,"
    "street,table,bicycle,wheel,cup,hat,scissors,train,bench,horse,tv,oven,shoe,running shoe,"
    "surfboard,boat,kite,umbrella,sunglasses,painting,cat,bag,bag of chips,off-road vehicle,St. "
    "Bernard,bird,boat trailer,sign,stop sign,bottle,ball"
)


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        # articles and other determiners
        ("A green car", "car"), ("a yellow building", "building"), ("a person", "person"),
        ("the red car", "car"), ("The cars", "car"), ("two large dogs", "dog"),
        ("his hat", "hat"), ("all of the bicycles", "bicycle"),
        # the head is the last word, or words
        ("car door", "door"), ("the door of a car", "door"), ("a bicycle wheel", "wheel"),
        ("a dog house", None), ("a train station", None), ("a person's hat", "hat"),
        # whole classes of several words
        ("traffic light on the road", "traffic light"), ("dining table", "dining table"),
        ("a wooden dining table with chairs", "dining table"), ("a coffee table", "table"),
        ("parking meter", "parking meter"), ("a parking meter beside a car", "parking meter"),
        ("chest of drawers", "chest of drawers"), ("an old chest of drawers", "chest of drawers"),
        ("a chest of drawers next to the door", "chest of drawers"), ("a chest", None),
        ("a bag of chips on a table", "bag of chips"), ("a bag of apples", "bag"),
        ("a red off-road vehicle", "off-road vehicle"), ("a large St. Bernard", "St. Bernard"),
        ("a red stop sign", "stop sign"),
        # prepositions
        ("a man in a red car", "person"), ("a cup of coffee", "cup"), ("a hat on a dog", "hat"),
        ("the street in front of the building", "street"), ("a cat under the umbrella", "cat"),
        ("a group of people", None), ("a pair of scissors", "scissors"),
        # relative words and clauses
        ("a woman who walks her dog", "person"), ("the train that is leaving", "train"),
        ("a bird that has a kite", "bird"), ("the boat is blue", "boat"),
        # participles: of the head, or of what follows
        ("a parked car", "car"), ("a blue parked car", "car"), ("a car parked", "car"),
        ("a car parked on the street", "car"), ("a running shoe", "running shoe"),
        ("a dog running across the street", "dog"), ("two people walking their dogs", "person"),
        ("a person sitting on a bench", "person"), ("a cat lying down", "cat"),
        ("woman wearing sunglasses", "person"), ("men riding horses", "person"),
        ("a white flying kite", "kite"), ("a kite flying high", "kite"),
        # nouns that look like participles
        ("an oil painting of a horse", "painting"), ("the white painting", "painting"),
        ("a man painting a boat", "person"), ("a zebra crossing", None),
        # hyphens join, punctuation does not count
        ("a black built-in oven", "oven"), ("a flat-screen TV.", "tv"),
        ("a person, smiling", "person"), ("a cat-like bird", "bird"),
        # other words, plurals
        ("a young woman with a cup", "person"), ("old bikes", "bicycle"), ("motorbikes", None),
        # nothing
        ("", None), ("the", None), ("it", None), ("on the street", "street"), ("red", None),
    ],
)  # fmt: skip
def test_a_phrase_stands_for_the_class_of_its_head(phrase: str, expected: str | None) -> None:
    found = KNOWN.find_phrase(phrase)
    assert (None if found is None else KNOWN.names[found]) == expected


def test_what_is_no_class_hides_no_other() -> None:
    known = parse_names("car,chips")
    assert known.find_phrase("a man in a red car") is None
    assert known.find_phrase("a car door") is None
    assert known.find_phrase("a bag of chips") is None


def test_a_prompt_and_a_synonym_are_found_in_a_phrase() -> None:
    known = ClassList([ClassSpec("headgear", ("hat", "cap"), "something on a head")])
    for phrase in ("a red hat of straw", "two caps", "something on a head"):
        assert known.find_phrase(phrase) == 0
