"""English plurals of class names."""

import pytest

from florence_annotate.classes.plurals import plurals


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("car", "cars"), ("bus", "buses"), ("box", "boxes"), ("bench", "benches"),
        ("toothbrush", "toothbrushes"), ("stomach", "stomachs"), ("quiz", "quizzes"),
        ("knife", "knives"), ("bookshelf", "bookshelves"), ("giraffe", "giraffes"),
        ("handkerchief", "handkerchiefs"), ("stove", "stoves"), ("teddy", "teddies"),
        ("key", "keys"), ("potato", "potatoes"), ("piano", "pianos"), ("kangaroo", "kangaroos"),
        ("person", "people"), ("salesperson", "salespeople"), ("fireman", "firemen"),
        ("woman", "women"), ("human", "humans"), ("grandchild", "grandchildren"),
        ("mouse", "mice"), ("goose", "geese"), ("mongoose", "mongooses"), ("ox", "oxen"),
        ("fox", "foxes"), ("tv", "tvs"), ("suv", "suvs"), ("ski", "skis"), ("menu", "menus"),
        ("traffic light", "traffic lights"), ("chest of drawers", "chests of drawers"),
        ("scarf", "scarves"),
    ],
)  # fmt: skip
def test_words_have_the_plural_of_their_ending(name: str, expected: str) -> None:
    assert expected in plurals(name)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("bu", "bus"), ("cross", "crosss"), ("glas", "glass"), ("len", "lens"), ("ga", "gas"),
        ("iri", "iris"), ("cactu", "cactus"), ("canva", "canvas"), ("glof", "gloves"),
        ("stof", "stoves"), ("huwoman", "humen"), ("toma", "tomatoes"), ("babie", "baby"),
        ("human", "humen"), ("fish", "fishs"), ("baby", "babys"),
        ("自動車", "自動車s"), ("t2", "t2s"),
    ],
)  # fmt: skip
def test_a_word_that_looks_like_a_plural_is_none(name: str, other: str) -> None:
    assert other not in plurals(name)
