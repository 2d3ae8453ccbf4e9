"""The class names of COCO, Objects365 and Open Images as published: no two of them meet wrongly."""

from pathlib import Path

import pytest

from florence_annotate import checkpoints
from florence_annotate.classes import ClassList, ClassSpec, Matching
from florence_annotate.classes.spelling import normalise
from florence_annotate.classes.synonyms import SYNONYMS

PUBLISHED = Path(__file__).parents[1] / "data" / "class-names"
COCO = Path(checkpoints.__path__[0]) / "coco-labels.txt"
LISTS = {
    "COCO": COCO.read_text().splitlines(),
    "Objects365": (PUBLISHED / "objects365.txt").read_text().splitlines(),
    "Open Images": (PUBLISHED / "open-images.txt").read_text().splitlines(),
}
EVERY = [name for names in LISTS.values() for name in names]
TRUE_PLURALS = {
    ("Boot", "Boots"),
    ("Cookie", "Cookies"),
    ("Glove", "Gloves"),
    ("Sandal", "Sandals"),
    ("Ski", "skis"),
    ("Street light", "Street Lights"),
}
"""Names of different lists that are one thing in singular and plural."""


def test_the_lists_are_whole() -> None:
    assert {name: len(names) for name, names in LISTS.items()} == {
        "COCO": 80,
        "Objects365": 365,
        "Open Images": 601,
    }


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("has_synonyms", [True, False])
def test_every_class_of_a_list_is_found_by_its_own_name(name: str, has_synonyms: bool) -> None:
    names = LISTS[name]
    known = ClassList(map(ClassSpec, names), Matching(has_synonyms=has_synonyms))
    for class_id, each in enumerate(names):
        phrases = (each, f"a {each}", f"The old {each}", f"two {each} on the road")
        assert known.find(each) == class_id
        assert [known.find_phrase(phrase) for phrase in phrases] == [class_id] * 4, each


@pytest.mark.parametrize("name", LISTS)
def test_a_name_of_another_list_is_taken_only_for_its_plural_or_by_a_synonym(name: str) -> None:
    names = LISTS[name]
    own = set(map(normalise, names))
    for has_synonyms in (True, False):
        known = ClassList(map(ClassSpec, names), Matching(has_synonyms=has_synonyms))
        for other in EVERY:
            found = known.find(other)
            if normalise(other) in own or found is None:
                continue
            pair = {(names[found], other), (other, names[found])}
            is_synonym = SYNONYMS.get(normalise(other)) == normalise(names[found])
            assert pair & TRUE_PLURALS or (has_synonyms and is_synonym), pair


def test_true_plurals_meet() -> None:
    for one, other in TRUE_PLURALS:
        assert ClassList([ClassSpec(one)]).find(other) == 0
        assert ClassList([ClassSpec(other)]).find(one) == 0
