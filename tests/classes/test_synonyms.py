"""Other words for COCO's classes."""

from importlib import resources

from florence_annotate.classes import ClassList, ClassSpec
from florence_annotate.classes.plurals import plurals
from florence_annotate.classes.spelling import normalise
from florence_annotate.classes.synonyms import _OF_COCO, SYNONYMS

COCO = resources.files("florence_annotate.checkpoints").joinpath("coco-labels.txt").read_text()
NAMES = COCO.splitlines()


def test_every_word_stands_for_one_class_in_cocos_spelling() -> None:
    assert set(SYNONYMS.values()) <= set(NAMES)
    assert len(SYNONYMS) == sum(map(len, _OF_COCO.values()))
    assert all(normalise(word) == word for word in SYNONYMS)


def test_no_word_is_a_class_of_coco_or_the_plural_of_one() -> None:
    classes = {*NAMES, *(form for name in NAMES for form in plurals(name))}
    assert not classes & SYNONYMS.keys()
    assert not set(NAMES) & {form for word in SYNONYMS for form in plurals(word)}


def test_each_is_found_under_cocos_classes() -> None:
    known = ClassList(map(ClassSpec, NAMES))
    for word, name in SYNONYMS.items():
        assert known.find(word) == known.find(f"{word.upper()}") == NAMES.index(name)
        assert {known.find(form) for form in plurals(word)} <= {NAMES.index(name)}
