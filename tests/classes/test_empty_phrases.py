"""Phrases that name no object."""

import pytest

from florence_annotate.classes.empty_phrases import names_nothing


@pytest.mark.parametrize(
    "phrase", ["The image", "it", "It", "a photo", "I", "the picture", "a group", "An image."]
)
def test_words_for_the_image_and_pronouns_name_nothing(phrase: str) -> None:
    assert names_nothing(phrase)


@pytest.mark.parametrize("phrase", ["a photo of a cat", "person", "picture frame", "a man", ""])
def test_a_phrase_with_a_noun_names_something(phrase: str) -> None:
    assert not names_nothing(phrase)
